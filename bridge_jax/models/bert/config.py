"""Sizes of the BERT text encoder."""

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """BERT without its pooler; `length` is the padded prompt length."""

    layers: int
    hidden: int
    heads: int
    ffn: int
    vocab: int
    positions: int
    length: int
    token_types: int = 2
    eps: float = 1e-12
    dropout: float = 0.1
    remat: str = "none"  # a name of `stack.POLICIES`
    scan: bool = False  # run the blocks as a loop, see `stack.fold`
    dtype: str = "float32"
    param_dtype: str = "float32"


SIZES: dict[str, Config] = {
    "tiny": Config(
        layers=2, hidden=128, heads=4, ffn=256, vocab=512, positions=40, length=40
    ),
    # HunyuanDiT v1.2, t2i/clip_text_encoder/config.json (a Chinese-CLIP text side);
    # the decoder uses 77 of the 512 positions.
    "hunyuan_dit": Config(
        layers=24,
        hidden=1024,
        heads=16,
        ffn=4096,
        vocab=47020,
        positions=512,
        length=77,
    ),
}
