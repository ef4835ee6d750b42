"""Into and out of tokens: patches, timesteps, and the last layer."""

import math

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Num

from bridge_jax.core.types import Array
from bridge_jax.layers import activations, linear, norm, shared
from bridge_jax.models.hunyuan_dit.config import Config

xavier = nn.initializers.xavier_uniform()


class Mlp(nn.Module):
    """Linear, activation, Linear, with biases."""

    config: Config
    hidden: int
    features: int
    activation: str = "silu"
    axes: tuple[str | None, str | None, str | None] = ("embed", "mlp", "embed")
    kernel_init: linear.Initialiser = xavier

    @nn.compact
    def __call__(self, x: Float[Array, "*B I"]) -> Float[Array, "*B O"]:
        """x [..., in] -> [..., features]."""
        x = dense(self.config, self.hidden, self.axes[:2], "fc1", self.kernel_init)(x)
        x = activations.named(self.activation)(x)
        return dense(
            self.config, self.features, self.axes[1:], "fc2", self.kernel_init
        )(x)


class TimeEmbed(nn.Module):
    """Sinusoids of the timestep through a small MLP."""

    config: Config

    @nn.compact
    def __call__(self, timesteps: Num[Array, " B"]) -> Float[Array, "B D"]:
        """timesteps [B], may be fractional -> [B, hidden]."""
        hidden = self.config.hidden
        waves = sinusoids(timesteps, self.config.time_frequencies)
        axes = (None, "mlp", "embed")
        init = nn.initializers.normal(0.02)
        return Mlp(
            self.config, hidden, hidden, axes=axes, kernel_init=init, name="mlp"
        )(waves)


class Final(nn.Module):
    """Modulated normalisation and the projection back to patches."""

    config: Config

    @nn.compact
    def __call__(
        self, x: Float[Array, "B P D"], conditioning: Float[Array, "B D"]
    ) -> Float[Array, "B P O"]:
        """x [B, P, hidden], conditioning [B, hidden] -> [B, P, patch^2 * C_out]."""
        config = self.config
        zeros = nn.initializers.zeros
        modulation = dense(
            config, 2 * config.hidden, ("embed", None), "modulation", zeros
        )
        shift, scale = jnp.split(
            modulation(activations.silu(conditioning))[:, None], 2, axis=-1
        )
        x = norm.LayerNorm(
            config.norm_eps, use_scale=False, use_bias=False, dtype=config.dtype
        )(x)
        x = shared.add(x * (1 + scale), shift)
        features = config.patch**2 * config.out_channels
        return dense(config, features, ("embed", None), "projection", zeros)(x)


def sinusoids(
    timesteps: Num[Array, " B"], dim: int, longest: float = 10000.0
) -> Float[Array, "B D"]:
    """[cos | sin] of t / longest^(i / (dim/2)): float32 [B, dim].

    Frequencies are made on the host: at t = 999 one unit in the last place of a
    frequency is already 6e-5 of an angle, and accelerators round exp more coarsely.
    """
    exponents = np.arange(dim // 2, dtype=np.float32) / np.float32(dim // 2)
    scaled = np.float32(-math.log(longest)) * exponents
    frequencies = np.exp(scaled.astype(np.float64)).astype(np.float32)
    angles = timesteps.astype(jnp.float32)[:, None] * frequencies[None]
    return jnp.concatenate([jnp.cos(angles), jnp.sin(angles)], axis=-1)


def patchify(latents: Float[Array, "B h w C"], patch: int) -> Float[Array, "B P D"]:
    """[B, h, w, C] -> [B, P, C * patch^2], row by row.

    Within a patch the channel comes first, as in a flattened OIHW kernel, so that the
    reference's convolution is a plain linear layer.
    """
    batch, height, width, channels = latents.shape
    grid = latents.reshape(
        batch, height // patch, patch, width // patch, patch, channels
    )
    return grid.transpose(0, 1, 3, 5, 2, 4).reshape(batch, -1, channels * patch**2)


def unpatchify(
    tokens: Float[Array, "B P D"], height: int, width: int, patch: int
) -> Float[Array, "B h w C"]:
    """[B, P, patch^2 * C] (channel last within a patch) -> [B, height, width, C]."""
    batch = tokens.shape[0]
    grid = tokens.reshape(batch, height // patch, width // patch, patch, patch, -1)
    return grid.transpose(0, 1, 3, 2, 4, 5).reshape(batch, height, width, -1)


def dense(
    config: Config,
    features: int,
    axes: tuple[str | None, str | None],
    name: str | None = None,
    kernel_init: linear.Initialiser = xavier,
) -> linear.Dense:
    """A biased linear layer in the config's dtypes."""
    return linear.Dense(
        features,
        axes=axes,
        use_bias=True,
        dtype=config.dtype,
        param_dtype=config.param_dtype,
        kernel_init=kernel_init,
        name=name,
    )
