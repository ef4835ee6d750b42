"""Encoder, decoder and the pair, as in Rombach et al. 2022 (arXiv 2112.10752).

Images are [B, H, W, 3] in [-1, 1], latents [B, H / f, W / f, latent_channels] with f
the config's `factor`.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float

from bridge_jax.core import types
from bridge_jax.core.errors import BridgeError
from bridge_jax.core.types import Array
from bridge_jax.layers import activations, linear, norm, resnet
from bridge_jax.models.autoencoder_kl.config import Config

# Bounds of the log variance, so that an untrained encoder cannot overflow exp.
LOGVAR_MIN, LOGVAR_MAX = -30.0, 20.0
# Training starts with noise of deviation 0.05. From 0 (diffusers' start) it would be
# 1, as large as the untrained means themselves.
LOGVAR_START = -6.0


def precision(config: Config) -> dict[str, jnp.dtype]:
    """The dtype arguments that every layer of the model takes."""
    return {
        "dtype": types.dtype(config.dtype),
        "param_dtype": types.dtype(config.param_dtype),
    }


class MidBlock(nn.Module):
    """Residual block, attention, residual block at the lowest resolution."""

    config: Config

    @nn.compact
    def __call__(self, x: Float[Array, "B h w C"]) -> Float[Array, "B h w C"]:
        """x [B, h, w, C] -> [B, h, w, C]."""
        config, width = self.config, x.shape[-1]
        x = _resnet(config, width, "resnets_0")(x)
        attend = resnet.SpatialAttention(
            config.norm_groups, name="attention", **precision(config)
        )
        return _resnet(config, width, "resnets_1")(attend(x))


class Encoder(nn.Module):
    """Image -> moments of the latent's Gaussian."""

    config: Config

    @nn.compact
    def __call__(self, images: Float[Array, "B H W 3"]) -> Float[Array, "B h w M"]:
        """images [B, H, W, 3] -> [B, H / factor, W / factor, 2 * latent_channels]."""
        config, dtypes = self.config, precision(self.config)
        widths = config.block_out_channels
        x = linear.Conv(widths[0], name="conv_in", **dtypes)(images)
        for level, width in enumerate(widths):
            for index in range(config.layers_per_block):
                x = _resnet(config, width, f"down_{level}_resnets_{index}")(x)
            if level < len(widths) - 1:
                x = resnet.Downsample(width, name=f"down_{level}_sample", **dtypes)(x)
        x = MidBlock(config, name="mid")(x)
        return _head(config, 2 * config.latent_channels, x)


class Decoder(nn.Module):
    """Latent -> image."""

    config: Config

    @nn.compact
    def __call__(self, latents: Float[Array, "B h w C"]) -> Float[Array, "B H W 3"]:
        """latents [B, h, w, latent_channels] -> [B, h * factor, w * factor, 3]."""
        config, dtypes = self.config, precision(self.config)
        widths = config.block_out_channels[::-1]
        x = linear.Conv(widths[0], name="conv_in", **dtypes)(latents)
        x = MidBlock(config, name="mid")(x)
        for level, width in enumerate(widths):
            for index in range(config.layers_per_block + 1):
                x = _resnet(config, width, f"up_{level}_resnets_{index}")(x)
            if level < len(widths) - 1:
                x = resnet.Upsample(width, name=f"up_{level}_sample", **dtypes)(x)
        return _head(config, config.image_channels, x)


class AutoencoderKL(nn.Module):
    """Encoder and decoder, and the 1x1 convolutions beside the latent."""

    config: Config

    def setup(self):
        channels, dtypes = self.config.latent_channels, precision(self.config)
        self.encoder = Encoder(self.config)
        self.decoder = Decoder(self.config)
        self.quant = resnet.pointwise(2 * channels, bias_init=_start_quiet, **dtypes)
        self.post_quant = resnet.pointwise(channels, **dtypes)

    def encode(
        self, images: Float[Array, "B H W 3"]
    ) -> tuple[Float[Array, "B h w C"], Float[Array, "B h w C"]]:
        """Mean and log variance of the latents, unscaled.

        Args:
          images: [B, H, W, 3] in [-1, 1].

        Returns:
          (mean, logvar), both float32 [B, H / factor, W / factor, latent_channels].

        Raises:
          BridgeError: height or width is not a multiple of `config.factor`.
        """
        factor = self.config.factor
        if images.shape[1] % factor or images.shape[2] % factor:
            raise BridgeError(
                f"autoencoder_kl: images of {images.shape[1]} x {images.shape[2]} "
                f"pixels; both sides must be multiples of {factor}"
            )
        moments = self.quant(self.encoder(images)).astype(jnp.float32)
        mean, logvar = jnp.split(moments, 2, axis=-1)
        return mean, jnp.clip(logvar, LOGVAR_MIN, LOGVAR_MAX)

    def decode(self, latents: Float[Array, "B h w C"]) -> Float[Array, "B H W 3"]:
        """Images of unscaled latents.

        Args:
          latents: [B, h, w, latent_channels].

        Returns:
          [B, h * factor, w * factor, 3] in `dtype`, about [-1, 1] but not clipped.
        """
        return self.decoder(self.post_quant(latents))

    def __call__(
        self,
        images: Float[Array, "B H W 3"],
        noise: Float[Array, "B h w C"] | None = None,
    ) -> tuple[
        Float[Array, "B H W 3"], Float[Array, "B h w C"], Float[Array, "B h w C"]
    ]:
        """Encode, sample (the mean where `noise` is None), decode.

        Returns:
          (reconstruction, mean, logvar), as from `decode` and `encode`.
        """
        mean, logvar = self.encode(images)
        latents = mean if noise is None else sample(mean, logvar, noise)
        return self.decode(latents), mean, logvar


def sample(
    mean: Float[Array, "B h w C"],
    logvar: Float[Array, "B h w C"],
    noise: Float[Array, "B h w C"],
) -> Float[Array, "B h w C"]:
    """mean + std * noise; all [B, h, w, latent_channels], noise standard normal."""
    return mean + jnp.exp(0.5 * logvar) * noise


def _start_quiet(key: jax.Array, shape: tuple[int], dtype: jnp.dtype) -> jax.Array:
    """Bias of the moments: 0 for means, LOGVAR_START for log variances."""
    del key
    half = shape[0] // 2
    return jnp.repeat(jnp.asarray([0.0, LOGVAR_START], dtype), half)


def _resnet(config: Config, width: int, name: str) -> nn.Module:
    block = resnet.ResnetBlock
    if config.remat == "block":
        block = nn.remat(block)
    return block(width, config.norm_groups, name=name, **precision(config))


def _head(config: Config, features: int, x: jax.Array) -> jax.Array:
    dtypes = precision(config)
    x = norm.GroupNorm(config.norm_groups, resnet.EPS, name="norm_out", **dtypes)(x)
    return linear.Conv(features, name="conv_out", **dtypes)(activations.silu(x))
