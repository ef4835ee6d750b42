"""Objectives of the image autoencoder, as sums with weights.

Each function returns (value_sum, weight), float32 scalars; the loss is their quotient,
taken after micro-batches and hosts are merged. `weight` depends on the batch alone.
"""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Float

from bridge_jax.core import term
from bridge_jax.core.types import Array
from bridge_jax.models import view as view_lib
from bridge_jax.objectives import base


def absolute_error(
    reconstruction: Float[Array, "B H W 3"], images: Float[Array, "B H W 3"]
) -> term.Pair:
    """|reconstruction - images| summed; weight = number of values.

    Both [B, H, W, 3].
    """
    return _summed(jnp.abs(_difference(reconstruction, images)))


def squared_error(
    reconstruction: Float[Array, "B H W 3"], images: Float[Array, "B H W 3"]
) -> term.Pair:
    """(reconstruction - images)^2 summed; weight = number of values.

    Both [B, H, W, 3].
    """
    return _summed(jnp.square(_difference(reconstruction, images)))


def kl_divergence(
    mean: Float[Array, "B h w C"], logvar: Float[Array, "B h w C"]
) -> term.Pair:
    """KL(N(mean, exp(logvar)) || N(0, 1)) summed; weight = number of latent values.

    Both [B, h, w, latent_channels]. Latent diffusion's code sums this over an image and
    reconstruction over its pixels; here both are means over their own values, so a
    weight of theirs is multiplied by (latent values / image values) of one sample.
    """
    mean, logvar = mean.astype(jnp.float32), logvar.astype(jnp.float32)
    return _summed(0.5 * (jnp.square(mean) + jnp.exp(logvar) - 1.0 - logvar))


def _difference(reconstruction: jax.Array, images: jax.Array) -> jax.Array:
    return reconstruction.astype(jnp.float32) - images.astype(jnp.float32)


def _summed(values: jax.Array) -> term.Pair:
    return jnp.sum(values), jnp.float32(values.size)


@dataclasses.dataclass(frozen=True)
class Objective(base.Base):
    """Absolute and squared error of the reconstruction and KL divergence, weighed.

    Reads `images` [B, h, w, 3] uint8 of its stream.

    Attributes:
      squared_weight: of the squared error. Absolute error alone is content with the
        background at first: its median ignores small objects.
      kl_weight: of the KL divergence, mean over latent values. The stronger the pull,
        the smoother the latents and the easier they are to generate.
      noise_scale: factor on the posterior's standard deviation. Below 1 to finish the
        decoder alone: what it will be given are means, give or take a generator's
        error.
    """

    squared_weight: float = 2.0
    kl_weight: float = 1e-4
    noise_scale: float = 1.0

    def __call__(self, view: view_lib.View) -> term.Term:
        images = view.images
        mean, logvar = view.bundle.apply("vae", view.params, images, method="encode")
        noise = jax.random.normal(view.rngs["autoencoder/noise"], mean.shape)
        latents = mean + self.noise_scale * jnp.exp(0.5 * logvar) * noise
        drawn = view.bundle.apply("vae", view.params, latents, method="decode")
        error, pixels = absolute_error(drawn, images)
        squared, _ = squared_error(drawn, images)
        kl, values = kl_divergence(mean, logvar)
        # Weighed as a mean over latent values beside a mean over pixels.
        total = error + self.squared_weight * squared
        total += self.kl_weight * kl * (pixels / values)
        second_moment = jnp.sum(jnp.square(mean))
        metrics = {
            "squared_error": (squared, pixels),
            "kl": (kl, values),
            "latent_second_moment": (second_moment, values),
        }
        return term.Term(total, pixels, metrics)
