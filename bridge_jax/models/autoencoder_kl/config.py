"""Sizes of the image autoencoder."""

import dataclasses

from bridge_jax.core.errors import BridgeError


@dataclasses.dataclass(frozen=True)
class Config:
    """One image autoencoder.

    Args:
      block_out_channels: width of each level, from full resolution down; each level
        after the first halves height and width.
      layers_per_block: residual blocks a level in the encoder; the decoder has one
        more.
      latent_channels: channels of the latent.
      norm_groups: groups of every group norm; must divide every width.
      scaling_factor: latents times this have about unit deviation; diffusion works on
        scaled latents, `encode` and `decode` on unscaled ones.
      remat: "none", or "block" to recompute residual blocks in the backward pass.
    """

    block_out_channels: tuple[int, ...]
    layers_per_block: int
    latent_channels: int
    norm_groups: int
    scaling_factor: float
    image_channels: int = 3
    remat: str = "none"
    dtype: str = "float32"
    param_dtype: str = "float32"

    def __post_init__(self):
        uneven = [c for c in self.block_out_channels if c % self.norm_groups]
        if uneven:
            raise BridgeError(
                f"autoencoder_kl: norm_groups={self.norm_groups} does not divide the "
                f"widths {uneven} of block_out_channels"
            )
        if self.remat not in ("none", "block"):
            raise BridgeError(
                f'autoencoder_kl: remat is "none" or "block", not "{self.remat}"'
            )

    @property
    def factor(self) -> int:
        """Image pixels a latent pixel, along one side."""
        return 2 ** (len(self.block_out_channels) - 1)


SIZES = {
    "tiny": Config(
        block_out_channels=(16, 16, 32, 64),
        layers_per_block=1,
        latent_channels=8,
        norm_groups=8,
        scaling_factor=1.0,
    ),
    # https://huggingface.co/stabilityai/sdxl-vae/blob/main/config.json
    "sdxl": Config(
        block_out_channels=(128, 256, 512, 512),
        layers_per_block=2,
        latent_channels=4,
        norm_groups=32,
        scaling_factor=0.13025,
    ),
}
