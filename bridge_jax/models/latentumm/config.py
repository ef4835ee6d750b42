"""Sizes of the stand-alone LatentUMM."""

import dataclasses

from bridge_jax.core.errors import BridgeError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """An aligner, a generator and a re-encoder around one latent space.

    Attributes:
      text, image: widths of the paired embeddings.
      latent: width of the latent space.
      hidden: width of the aligner's Transformer, of the generator and the re-encoder.
      out: width of what the generator makes; 0 for `image`.
      layers, heads: of the Transformer.
    """

    text: int
    image: int
    latent: int
    hidden: int
    layers: int
    heads: int
    out: int = 0
    eps: float = 1e-5
    dropout: float = 0.1
    dtype: str = "float32"
    param_dtype: str = "float32"

    def __post_init__(self):
        if self.hidden % self.heads:
            raise BridgeError(
                f"latentumm: hidden {self.hidden} cannot be cut into {self.heads} heads"
            )

    @property
    def generated(self) -> int:
        """Width of what the generator makes."""
        return self.out or self.image

    @property
    def reencodes_by_aligner(self) -> bool:
        """Whether the aligner's image route can read what the generator makes."""
        return self.generated == self.image


SIZES: dict[str, Config] = {
    "tiny": Config(text=128, image=128, latent=64, hidden=128, layers=2, heads=8),
}
