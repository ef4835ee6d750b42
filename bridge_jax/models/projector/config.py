"""Sizes of the projector."""

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """One linear layer from the language model's width to the aligner's."""

    hidden: int
    d_model: int
    dtype: str = "float32"
    param_dtype: str = "float32"


SIZES: dict[str, Config] = {
    "tiny": Config(hidden=192, d_model=128),
    # OmniBridge (arXiv 2509.19018): Qwen2-VL-7B states to mT5-XL's width.
    "7b": Config(hidden=3584, d_model=2048),
}
