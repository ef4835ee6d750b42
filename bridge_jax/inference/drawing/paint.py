"""Captions and states to pictures: two programs, the second shared by every task.

`conditions` makes what the decoder sees of the text, by the same `View` that training
looks through. `paint` denoises under a scan and decodes; `begin`, `go_on` and `reveal`
are the same in parts. B pictures at once.
"""

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Float, UInt8

from bridge_jax.core import rng
from bridge_jax.core.types import Array, Params
from bridge_jax.diffusion import guidance as guidance_lib
from bridge_jax.diffusion import samplers, sampling, targets
from bridge_jax.models import bundle as bundle_lib
from bridge_jax.models import replacement
from bridge_jax.models import view as view_lib

PARTS = {
    "text": ("mt5", "bert", "dit", "vae"),
    "queries": ("vlm", "projector", "aligner", "mt5", "bert", "dit", "vae"),
}


def conditions(
    bundle: bundle_lib.Bundle,
    params: Params,
    batch: Mapping[str, Any],
    shared: Mapping[str, Any],
    *,
    condition: str,
    mask: str,
) -> tuple[Any, Any]:
    """Program: text conditions of the rows (leading axis B) and of no text (1)."""
    seen = _look(bundle, params, batch)
    wanted = _encode(seen, *seen.condition(condition, mask))
    nothing = _look(bundle, params, shared["empty"])
    unwanted = _encode(nothing, *nothing.condition("text"))
    return wanted, jax.tree.map(lambda leaf: leaf[:1], unwanted)


def against(
    bundle: bundle_lib.Bundle,
    params: Params,
    batch: Mapping[str, Any],
    shared: Mapping[str, Any],
) -> Any:
    """Program: conditions of negative prompts, read by mT5 (leading axis B)."""
    del shared
    seen = _look(bundle, params, batch)
    return _encode(seen, *seen.condition("text"))


def encode(
    bundle: bundle_lib.Bundle,
    params: Params,
    batch: Mapping[str, Any],
    shared: Mapping[str, Any],
) -> Float[Array, "B h w C"]:
    """Program: images uint8 [B, H, W, 3] to scaled latents [B, h, w, C]."""
    del shared
    return _look(bundle, params, batch).latents


def paint(
    bundle: bundle_lib.Bundle,
    params: Params,
    batch: Mapping[str, Any],
    shared: Mapping[str, Any],
    *,
    sampler: str,
    steps: int,
    guidance: float,
    rescale: float,
    size: tuple[int, int] | None,
    start: int,
) -> UInt8[Array, "B H W 3"]:
    """Program: noise to pictures uint8 [B, H, W, 3].

    Args:
      batch: condition (of `conditions`) and numbers [B]; unconditional (of `against`)
        where there are negative prompts, source (of `encode`) where start is not 0.
      shared: seed, and unconditional (leading axis 1) where the batch has none.
      size: of the pictures, None for the decoder's own.
      start: how many steps are left out.
    """
    made = samplers.load(sampler)
    shares = sampling.mixture(made, steps, start)
    noise = _start(bundle, batch, shared, size, start > 0, *shares)
    guided = _guided(bundle, params, batch, shared, guidance, rescale)
    keys = _keys(batch, shared)
    latents = sampling.sample(made, guided, noise, keys, steps, start)
    return _decode(bundle, params, latents)


def begin(
    bundle: bundle_lib.Bundle,
    params: Params,
    batch: Mapping[str, Any],
    shared: Mapping[str, Any],
    *,
    size: tuple[int, int] | None,
    mixed: bool,
) -> sampling.State:
    """Program: the state before the first step; arguments as of `paint`.

    Where there is a source (`mixed`), it and the noise have shares shared["signal"] and
    shared["sigma"].
    """
    del params
    shares = shared["signal"], shared["sigma"]
    return sampling.begin(_start(bundle, batch, shared, size, mixed, *shares))


def go_on(
    bundle: bundle_lib.Bundle,
    params: Params,
    batch: Mapping[str, Any],
    shared: Mapping[str, Any],
    *,
    sampler: str,
    stochastic: bool,
    guided: bool,
    rescale: float,
) -> sampling.State:
    """Program: some steps from batch["state"] on, any part of any number of them.

    Args:
      batch: as of `paint`, and state.
      shared: as of `paint`; table, first, stop, start as of `sampling.sample_part`;
        scale of guidance, where it is `guided`.
      rescale: as of `paint`; as an argument it would change the last bits.
    """
    scale = shared["scale"] if guided else 1.0
    return sampling.sample_part(
        samplers.load(sampler),
        _guided(bundle, params, batch, shared, scale, rescale),
        batch["state"],
        _keys(batch, shared),
        shared["table"],
        shared["first"],
        shared["stop"],
        shared["start"],
        stochastic,
    )


def reveal(
    bundle: bundle_lib.Bundle,
    params: Params,
    batch: Mapping[str, Any],
    shared: Mapping[str, Any],
    *,
    longest: float,
) -> UInt8[Array, "B H W 3"]:
    """Program: batch["latents"] [B, h, w, C] to pictures uint8 [B, H, W, 3].

    Args:
      longest: most latents along a side; larger ones are scaled down first, which
        costs so much less that the picture is good for a glance alone.
    """
    del shared
    latents = batch["latents"]
    rows, *sides, channels = latents.shape
    shrink = min(1.0, longest / max(sides))
    if shrink < 1:
        small = (max(1, math.floor(side * shrink)) for side in sides)
        latents = jax.image.resize(latents, (rows, *small, channels), "linear")
    return _decode(bundle, params, latents)


def _start(
    bundle: bundle_lib.Bundle,
    batch: Mapping[str, Any],
    shared: Mapping[str, Any],
    size: tuple[int, int] | None,
    mixed: bool,
    signal: guidance_lib.Number,
    sigma: guidance_lib.Number,
) -> jax.Array:
    """Noise, or the source under noise: float32 [B, h, w, C]."""
    config, factor = bundle["dit"].config, bundle["vae"].config.factor
    sides = (config.input_size,) * 2 if size is None else [s // factor for s in size]
    shape = (*sides, config.in_channels)
    noise = sampling.initial_noise(_keys(batch, shared), shape)
    return signal * batch["source"] + sigma * noise if mixed else noise


def _keys(batch: Mapping[str, Any], shared: Mapping[str, Any]) -> jax.Array:
    return sampling.image_keys(rng.stream(shared["seed"], "paint"), batch["numbers"])


def _guided(
    bundle: bundle_lib.Bundle,
    params: Params,
    batch: Mapping[str, Any],
    shared: Mapping[str, Any],
    scale: guidance_lib.Number,
    rescale: float,
) -> sampling.Denoise:
    """The decoder under guidance: (x, t) -> prediction."""
    config = bundle["dit"].config

    def denoise(x: jax.Array, t: jax.Array, condition: Any) -> jax.Array:
        out = bundle.apply("dit", params, x, t, condition, method="denoise")
        return targets.split_variance(out.astype(jnp.float32), config.in_channels)[0]

    wanted = batch["condition"]
    unwanted = jax.tree.map(
        lambda some, many: jnp.broadcast_to(some, many.shape),
        {**shared, **batch}["unconditional"],
        wanted,
    )
    return guidance_lib.classifier_free(denoise, unwanted, wanted, scale, rescale)


def _decode(bundle: bundle_lib.Bundle, params: Params, latents: jax.Array) -> jax.Array:
    """Scaled latents to pictures uint8 [B, H, W, 3]."""
    scale = bundle["vae"].config.scaling_factor
    decoded = bundle.apply("vae", params, latents / scale, method="decode")
    levels = jnp.round((decoded.astype(jnp.float32) + 1) * 127.5)
    return jnp.clip(levels, 0, 255).astype(jnp.uint8)


def _look(
    bundle: bundle_lib.Bundle, params: Params, batch: Mapping[str, Any]
) -> view_lib.View:
    """As training sees it at replacement ratio 1 and without dropout."""
    return view_lib.View(
        bundle,
        params,
        batch,
        rngs=rng.Streams(0, 0),
        step=0,
        schedule=replacement.fixed(1.0),
        train=False,
    )


def _encode(seen: view_lib.View, t5_states: jax.Array, t5_mask: jax.Array) -> Any:
    return seen.bundle.apply(
        "dit",
        seen.params,
        seen.bert_states,
        seen.batch["bert_mask"],
        t5_states,
        t5_mask,
        method="encode_text",
    )
