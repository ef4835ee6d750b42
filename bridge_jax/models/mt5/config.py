"""Sizes of the mT5 encoder."""

import dataclasses

from bridge_jax.layers import t5


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(t5.StackConfig):
    """A T5 stack with its token table; `length` is the padded prompt length."""

    vocab: int
    length: int


SIZES: dict[str, Config] = {
    "tiny": Config(
        layers=3, d_model=128, heads=4, d_kv=32, d_ff=256, vocab=512, length=36
    ),
    # google/mt5-xl config.json; 256 prompt tokens as in HunyuanDiT v1.2.
    "xl": Config(
        layers=24,
        d_model=2048,
        heads=32,
        d_kv=64,
        d_ff=5120,
        vocab=250112,
        length=256,
    ),
}
