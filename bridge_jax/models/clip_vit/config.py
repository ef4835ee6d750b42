"""Sizes of CLIP's vision tower."""

import dataclasses

from bridge_jax.core.errors import BridgeError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Raises BridgeError for sizes that cannot fit together.

    Attributes:
      image: pixels a side; every picture has that size.
      patch: pixels a side of a patch.
      activation: a name of `layers.activations`.
      select: which layer's output is read, counted from the end as in LLaVA: -1 is the
        last, -2 the one before.
    """

    image: int
    patch: int
    hidden: int
    layers: int
    heads: int
    ffn: int
    activation: str = "quick_gelu"
    select: int = -2
    channels: int = 3
    eps: float = 1e-5
    dtype: str = "float32"
    param_dtype: str = "float32"

    def __post_init__(self):
        problems = []
        if self.image % self.patch:
            problems.append(f"patch {self.patch} must divide image {self.image}")
        if self.hidden % self.heads:
            problems.append(f"heads {self.heads} must divide hidden {self.hidden}")
        if not -self.layers - 1 <= self.select <= -1:
            problems.append(f"select {self.select} names none of {self.layers} layers")
        if problems:
            raise BridgeError("clip_vit config: " + "; ".join(problems))

    @property
    def patches(self) -> int:
        return (self.image // self.patch) ** 2


SIZES: dict[str, Config] = {
    "tiny": Config(image=64, patch=16, hidden=128, layers=3, heads=4, ffn=256),
    # https://huggingface.co/openai/clip-vit-large-patch14-336/blob/main/config.json
    "l14_336": Config(image=336, patch=14, hidden=1024, layers=24, heads=16, ffn=4096),
}
