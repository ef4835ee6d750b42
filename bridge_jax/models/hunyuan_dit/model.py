"""HunyuanDiT v1.2 (arXiv 2405.08748): latents, time and text -> prediction.

Axes: B batch · h, w, C latent height, width, channels · P image patches · S text
positions (CLIP first, then mT5). Versions before 1.2 also take image size and style;
those conditions do not exist here.
"""

import functools
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float, Num, Shaped

from bridge_jax.core.errors import BridgeError
from bridge_jax.core.types import Array
from bridge_jax.layers import linear, stack
from bridge_jax.models.hunyuan_dit import embed, rotary
from bridge_jax.models.hunyuan_dit.block import Block
from bridge_jax.models.hunyuan_dit.config import Config
from bridge_jax.models.hunyuan_dit.pooler import Pooler


class TextCondition(NamedTuple):
    """All that the blocks need of the text: made once an image, used every step."""

    states: jax.Array  # [B, S, clip_dim], padded positions replaced
    vector: jax.Array  # [B, hidden], added to the time embedding


class HunyuanDiT(nn.Module):
    """The denoiser; `encode_text` and `denoise` split what sampling repeats."""

    config: Config

    def setup(self):
        config = self.config
        block = stack.remat(Block, config.remat, config.scan)
        self.patch_embed = embed.dense(config, config.hidden, (None, "embed"))
        self.time_embed = embed.TimeEmbed(config)
        self.t5_mlp = embed.Mlp(config, config.t5_mlp_hidden, config.clip_dim)
        self.pooler = Pooler(config)
        self.vector_mlp = embed.Mlp(config, 4 * config.hidden, config.hidden)
        self.text_padding = linear.param(
            self,
            "text_padding",
            nn.initializers.normal(1.0),
            (config.text_length, config.clip_dim),
            (None, "embed"),
            config.param_dtype,
        )
        self.blocks = [
            block(config, with_skip=config.has_skip(i)) for i in range(config.depth)
        ]
        self.final = embed.Final(config)

    def __call__(
        self,
        latents: Float[Array, "B h w C"],
        timesteps: Num[Array, " B"],
        clip_states: Float[Array, "A M E"],
        clip_mask: Shaped[Array, "A M"],
        t5_states: Float[Array, "A L D"],
        t5_mask: Shaped[Array, "A L"],
        deterministic: bool = True,
    ) -> Float[Array, "B h w O"]:
        """`denoise` with `encode_text`; see both for arguments and result."""
        condition = self.encode_text(clip_states, clip_mask, t5_states, t5_mask)
        return self.denoise(latents, timesteps, condition, deterministic)

    def encode_text(
        self,
        clip_states: Float[Array, "B M E"],
        clip_mask: Shaped[Array, "B M"],
        t5_states: Float[Array, "B L D"],
        t5_mask: Shaped[Array, "B L"],
    ) -> TextCondition:
        """Text states of both encoders -> what the blocks see.

        Args:
          clip_states: [B, clip_length, clip_dim].
          clip_mask: bool or int [B, clip_length]; where it is 0 the learned padding
            embedding takes the state's place.
          t5_states: [B, t5_length, t5_dim]. The pooler reads them all, masked or not.
          t5_mask: as clip_mask, [B, t5_length].

        Raises:
          BridgeError: text lengths other than the config's (the padding is learned
            for each position).
        """
        config = self.config
        lengths = clip_states.shape[1], t5_states.shape[1]
        if lengths != (config.clip_length, config.t5_length):
            raise BridgeError(
                f"text lengths are {lengths} (CLIP, mT5), the decoder's are "
                f"{(config.clip_length, config.t5_length)}: pad or cut the tokens"
            )
        dtype = jnp.dtype(config.dtype)
        projected = self.t5_mlp(t5_states)
        states = jnp.concatenate([clip_states.astype(dtype), projected], axis=1)
        mask = jnp.concatenate([clip_mask, t5_mask], axis=1).astype(bool)[..., None]
        states = jnp.where(mask, states, self.text_padding.astype(dtype)[None])
        return TextCondition(states, self.vector_mlp(self.pooler(t5_states)))

    def denoise(
        self,
        latents: Float[Array, "B h w C"],
        timesteps: Num[Array, " B"],
        condition: TextCondition,
        deterministic: bool = True,
    ) -> Float[Array, "B h w O"]:
        """Predict from noisy latents.

        Args:
          latents: [B, h, w, C]; patch must divide h and w, any size and aspect ratio.
          timesteps: [B], 0 .. 999, may be fractional.
          condition: from `encode_text`, of B texts, or of B / n that serve n
            consecutive latents each.
          deterministic: the published model has no dropout; taken for uniformity.

        Returns:
          [B, h, w, 2C] (prediction, then variance values) or [B, h, w, C] without
          learn_sigma; in the config's dtype.
        """
        del deterministic
        config = self.config
        rows, height, width, _ = latents.shape
        texts = condition.vector.shape[0]
        if rows % texts:
            raise BridgeError(
                f"{rows} latents cannot be shared out evenly among {texts} texts"
            )
        patch = config.patch
        if height % patch or width % patch:
            raise BridgeError(
                f"latents of {height} x {width} cannot be cut into {patch} x {patch} "
                f"patches: choose sides that {patch} divides"
            )
        turns = rotary.tables(
            height // patch, width // patch, config.head_dim, config.base_grid
        )
        vector = jnp.repeat(condition.vector, rows // texts, axis=0)
        conditioning = self.time_embed(timesteps) + vector
        x = self.patch_embed(embed.patchify(latents, patch))

        def step(block, x, skip):
            return block(x, conditioning, condition.states, turns, skip), None

        def feed(block, x, _):
            x, _ = step(block, x, None)
            return x, x

        fold = functools.partial(stack.fold, scan=config.scan, dtype=config.dtype)
        feeding, taking = config.feeding, config.depth - config.feeding
        x, skips = fold(feed, self.blocks[:feeding], x)
        x, _ = fold(step, self.blocks[feeding:taking], x)
        x, _ = fold(step, self.blocks[taking:], x, skips[::-1])
        return embed.unpatchify(self.final(x, conditioning), height, width, patch)
