"""Captions and states to pictures: two programs, the second shared by every task.

`conditions` makes what the decoder sees of the text, by the same `View` that training
looks through. `paint` denoises under a scan and decodes. B pictures at once.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bridge_jax.core import log, rng
from bridge_jax.core.types import Params
from bridge_jax.diffusion import guidance as guidance_lib
from bridge_jax.diffusion import samplers, sampling, targets
from bridge_jax.inference import batching
from bridge_jax.inference.engine import Engine
from bridge_jax.inference.settings import Settings
from bridge_jax.models import bundle as bundle_lib
from bridge_jax.models import replacement
from bridge_jax.models import view as view_lib

PARTS = {
    "text": ("mt5", "bert", "dit", "vae"),
    "queries": ("vlm", "projector", "aligner", "mt5", "bert", "dit", "vae"),
}


def pictures(
    engine: Engine,
    params: Params,
    make_row: Callable[[int], Mapping[str, Any]],
    numbers: np.ndarray,
    settings: Settings,
    description: str = "drawing",
) -> np.ndarray:
    """Draw `numbers` [N, n] pictures: n of each of N rows.

    Args:
      make_row: number of a row -> its fields for `View`, all rows of equal shapes.
      numbers: random stream of each picture, as from `batching.numbers`.

    Returns:
      uint8 [N, n, H, W, 3].
    """
    empty = engine.processor.texts("", "")
    nothing = batching.stack([empty] * engine.parts)
    seed, copies = np.uint32(settings.seed), numbers.shape[1]
    made = []
    cut = batching.chunks(range(numbers.size), engine.limits.images, engine.parts)
    for chunk in log.progress(cut, description):
        rows = {i: make_row(i) for i in {place // copies for place in chunk.indices}}
        batch = batching.stack([rows[place // copies] for place in chunk.indices])
        names = {"condition": settings.condition, "mask": settings.mask}
        wanted, unwanted = engine.run(
            conditions, params, batch, {"empty": nothing}, **names
        )
        batch = {"condition": wanted, "numbers": numbers.ravel()[list(chunk.indices)]}
        shared = {"unconditional": unwanted, "seed": seed}
        pixels = engine.run(paint, params, batch, shared, **settings.sampling)
        made.append(np.asarray(pixels)[: chunk.count])
    flat = np.concatenate(made)
    return flat.reshape(*numbers.shape, *flat.shape[1:])


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
) -> jax.Array:
    """Program: noise to pictures uint8 [B, H, W, 3].

    Args:
      batch: condition (of `conditions`) and numbers [B].
      shared: unconditional (leading axis 1) and seed.
    """
    config = bundle["dit"].config
    shape = (config.input_size, config.input_size, config.in_channels)
    keys = sampling.image_keys(rng.stream(shared["seed"], "paint"), batch["numbers"])

    def denoise(x: jax.Array, t: jax.Array, condition: Any) -> jax.Array:
        out = bundle.apply("dit", params, x, t, condition, method="denoise")
        return targets.split_variance(out.astype(jnp.float32), config.in_channels)[0]

    wanted = batch["condition"]
    unwanted = jax.tree.map(
        lambda one, many: jnp.broadcast_to(one, many.shape),
        shared["unconditional"],
        wanted,
    )
    guided = guidance_lib.classifier_free(denoise, unwanted, wanted, guidance, rescale)
    noise = sampling.initial_noise(keys, shape)
    latents = sampling.sample(samplers.load(sampler), guided, noise, keys, steps)
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
