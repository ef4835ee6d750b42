"""Sizes of LatentUMM's two maps inside a unified model."""

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Two small networks: pooled states to an embedding, and back.

    Attributes:
      hidden: width of the states.
      embedding: width of the embedding, which is the teacher's.
      inner: width between their two layers.
    """

    hidden: int
    embedding: int
    inner: int
    dtype: str = "float32"
    param_dtype: str = "float32"


SIZES: dict[str, Config] = {
    "tiny": Config(hidden=128, embedding=128, inner=128),
}
