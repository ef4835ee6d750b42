"""Sizes of the aligner."""

import dataclasses

from bridge_jax.core.errors import BridgeError
from bridge_jax.layers import t5


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(t5.StackConfig):
    """A T5 stack with cross-attention in `cross_layers` and learned query tokens."""

    cross_layers: tuple[int, ...]
    queries: int

    def __post_init__(self):
        wrong = [i for i in self.cross_layers if not 0 <= i < self.layers]
        if wrong:
            raise BridgeError(
                f"bitransformer: cross_layers {wrong} do not exist; "
                f"there are layers 0 to {self.layers - 1}"
            )


SIZES: dict[str, Config] = {
    "tiny": Config(
        layers=4,
        d_model=128,
        heads=4,
        d_kv=32,
        d_ff=256,
        cross_layers=(0, 1, 2),
        queries=36,
    ),
    # OmniBridge (arXiv 2509.19018): mT5-XL's encoder with cross-attention added.
    "xl": Config(
        layers=24,
        d_model=2048,
        heads=32,
        d_kv=64,
        d_ff=5120,
        cross_layers=(0, 2, 4, 8, 12, 16, 20),
        queries=256,
    ),
}
