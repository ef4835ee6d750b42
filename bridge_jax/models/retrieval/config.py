"""Sizes of the retrieval heads."""

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Widths, query counts, and whether pooling leaves padding out.

    `mask_padding=False` reproduces the reference, whose embeddings depend on the
    padding of the batch they are computed in.
    """

    d_model: int
    out: int
    pool_heads: int
    image_queries: int
    text_queries: int
    mask_padding: bool = True
    eps: float = 1e-5
    dtype: str = "float32"
    param_dtype: str = "float32"


SIZES: dict[str, Config] = {
    "tiny": Config(d_model=128, out=128, pool_heads=4, image_queries=8, text_queries=8),
    # OmniBridge (arXiv 2509.19018).
    "xl": Config(
        d_model=2048, out=1024, pool_heads=16, image_queries=128, text_queries=96
    ),
}
