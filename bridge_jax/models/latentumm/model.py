"""Embeddings of text and image to one latent space, back, and in again.

Axes: B batch, T tokens (1 or 2), H hidden width, Z latent width.
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float

from bridge_jax.core import types
from bridge_jax.core.types import Array
from bridge_jax.layers import activations, attention, linear, mlp, norm, shared
from bridge_jax.models.latentumm.config import Config

TEXT, IMAGE = 0, 1  # rows of the modality embedding


def _dense(config: Config):
    return functools.partial(
        linear.Dense,
        use_bias=True,
        dtype=types.dtype(config.dtype),
        param_dtype=types.dtype(config.param_dtype),
    )


def _norm(config: Config) -> norm.LayerNorm:
    return norm.LayerNorm(
        config.eps,
        dtype=types.dtype(config.dtype),
        param_dtype=types.dtype(config.param_dtype),
    )


class Block(nn.Module):
    """Post-norm Transformer layer with exact GELU."""

    config: Config

    def setup(self):
        c = self.config
        dense = _dense(c)
        self.qkv = dense(3 * c.hidden, axes=("embed", "heads"))
        self.out = dense(c.hidden, axes=("heads", "embed"))
        self.up = dense(4 * c.hidden, axes=("embed", "mlp"))
        self.down = dense(c.hidden, axes=("mlp", "embed"))
        self.attention_norm, self.mlp_norm = _norm(c), _norm(c)
        self.drop = nn.Dropout(c.dropout)

    def __call__(
        self, x: Float[Array, "B T D"], deterministic: bool
    ) -> Float[Array, "B T D"]:
        """x [B, T, H] -> [B, T, H]."""
        heads = self.config.heads
        q, k, v = (
            attention.split_heads(part, heads)
            for part in jnp.split(self.qkv(x), 3, axis=-1)
        )
        y = self.out(attention.merge_heads(attention.attend(q, k, v)))
        x = self.attention_norm(x + self.drop(y, deterministic=deterministic))
        y = self.drop(activations.gelu_exact(self.up(x)), deterministic=deterministic)
        y = self.down(y)
        return self.mlp_norm(x + self.drop(y, deterministic=deterministic))


class Aligner(nn.Module):
    """phi: the embedding of one modality, or of a pair, to a latent."""

    config: Config

    def setup(self):
        c = self.config
        dense = _dense(c)
        self.text_in = dense(c.hidden, axes=("latent", "embed"))
        self.image_in = dense(c.hidden, axes=("latent", "embed"))
        self.modality = linear.param(
            self,
            "modality",
            nn.initializers.normal(0.02),
            (2, c.hidden),
            (None, "embed"),
            types.dtype(c.param_dtype),
        )
        self.layers = [Block(c) for _ in range(c.layers)]
        self.final_norm = _norm(c)
        self.single_out = dense(c.latent, axes=("embed", "latent"))
        self.fuse_in = dense(c.hidden, axes=("embed", "mlp"))
        self.fuse_norm = _norm(c)
        self.fuse_out = dense(c.latent, axes=("mlp", "latent"))

    def text(
        self, embedding: Float[Array, "B I"], deterministic: bool = True
    ) -> Float[Array, "B E"]:
        """embedding [B, text] -> [B, Z]."""
        return self._single(self._token(embedding, TEXT), deterministic)

    def image(
        self, embedding: Float[Array, "B I"], deterministic: bool = True
    ) -> Float[Array, "B E"]:
        """embedding [B, image] -> [B, Z]."""
        return self._single(self._token(embedding, IMAGE), deterministic)

    def pair(
        self,
        text: Float[Array, "B I"],
        image: Float[Array, "B J"],
        deterministic: bool = True,
    ) -> Float[Array, "B E"]:
        """text [B, text], image [B, image] -> [B, Z]: both in one sequence, fused."""
        tokens = jnp.stack([self._token(text, TEXT), self._token(image, IMAGE)], axis=1)
        states = self._encode(tokens, deterministic)
        both = states.reshape(len(states), -1)
        return self.fuse_out(self.fuse_norm(activations.gelu_exact(self.fuse_in(both))))

    def _token(self, embedding: jax.Array, modality: int) -> jax.Array:
        project = self.text_in if modality == TEXT else self.image_in
        return shared.add(project(embedding), self.modality[modality][None])

    def _single(self, token: jax.Array, deterministic: bool) -> jax.Array:
        return self.single_out(self._encode(token[:, None], deterministic)[:, 0])

    def _encode(self, tokens: jax.Array, deterministic: bool) -> jax.Array:
        for layer in self.layers:
            tokens = layer(tokens, deterministic)
        return self.final_norm(tokens)


class LatentUMM(nn.Module):
    """phi, the generator G and the way from G's output back into the latent space."""

    config: Config

    def setup(self):
        c = self.config
        self.aligner = Aligner(c)
        types_of = {"dtype": c.dtype, "param_dtype": c.param_dtype}
        self.generator = mlp.TwoLayers(c.hidden, c.generated, **types_of)
        self.reencoder = mlp.TwoLayers(c.hidden, c.latent, **types_of)

    def __call__(
        self, text: Float[Array, "B I"], image: Float[Array, "B J"]
    ) -> dict[str, jax.Array]:
        """text [B, text], image [B, image] -> latents [B, Z] and what is made of them.

        Keys: text, image, fused (latents); generated (from text), again (re-encoded).
        Makes every parameter, also those that `reenter` does not need here.
        """
        latent = self.aligner.text(text)
        generated = self.generator(latent)
        self.reencoder(generated)
        return {
            "text": latent,
            "image": self.aligner.image(image),
            "fused": self.aligner.pair(text, image),
            "generated": generated,
            "again": self.reenter(generated),
        }

    def latent(
        self,
        text: Float[Array, "B I"],
        image: Float[Array, "B J"],
        kind: str,
        deterministic: bool = True,
    ) -> Float[Array, "B E"]:
        """phi by name: of the "text", of the "image", or of both ("fused"); [B, Z]."""
        if kind == "fused":
            return self.aligner.pair(text, image, deterministic)
        if kind == "image":
            return self.aligner.image(image, deterministic)
        return self.aligner.text(text, deterministic)

    def generate(self, latent: Float[Array, "*B E"]) -> Float[Array, "*B O"]:
        """G: latent [..., Z] -> [..., generated]."""
        return self.generator(latent)

    def reenter(
        self, generated: Float[Array, "B O"], deterministic: bool = True
    ) -> Float[Array, "B E"]:
        """[B, generated] -> [B, Z], by the aligner's image route where widths allow."""
        if self.config.reencodes_by_aligner:
            return self.aligner.image(generated, deterministic)
        return self.reencoder(generated)

    def cycle(
        self, latent: Float[Array, "B E"], deterministic: bool = True
    ) -> Float[Array, "B E"]:
        """latent [B, Z] -> [B, Z]: out by the generator and in again."""
        return self.reenter(self.generate(latent), deterministic)
