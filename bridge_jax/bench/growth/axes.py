"""What grows: an axis is a small real model at several sizes of one thing.

Models are the tiny ones with heads as wide as published: the products of attention then
outweigh the rest of it as they do there. A point takes a second or less.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bridge_jax.models import build
from bridge_jax.models.bundle import Bundle
from bridge_jax.objectives import semantic, sft
from bridge_jax.sharding import place


@dataclasses.dataclass(frozen=True)
class Work:
    """One point: `function(*arguments)` is to be compiled and timed.

    Attributes:
      layout: over whose devices the arguments lie; None for one device.
    """

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    layout: place.Layout | None = None


@dataclasses.dataclass(frozen=True)
class Axis:
    """Attributes:
    unit: what is counted along it.
    sizes: the points, in order.
    make: size -> Work.
    memory: the power of the size that memory may grow with.
    simulated: a point is a process with so many devices or more; figures are one
      device's.
    """

    unit: str
    sizes: tuple[int, ...]
    make: Callable[[int], Work]
    memory: float
    simulated: bool = False


def _params(bundle: Bundle) -> Any:
    """Random ones, without compiling an initialiser: no time depends on values."""
    draw = np.random.default_rng(0)
    shapes = place.unbox(bundle.abstract())
    return jax.tree.map(
        lambda leaf: (0.02 * draw.standard_normal(leaf.shape)).astype(leaf.dtype),
        shapes,
    )


def _normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).standard_normal(shape, np.float32)


def _decoder(
    rows: int, length: int, layers: int = 3, layout: place.Layout | None = None
) -> Work:
    """Gradient of next-token prediction: [rows, length] tokens."""
    sizes = {"layers": layers, "heads": 2, "kv_heads": 1, "head_dim": 128}
    bundle = build.build({"lm": {"family": "decoder_lm", "size": "tiny", **sizes}})
    vocabulary = bundle["lm"].config.vocab_size
    tokens = np.random.default_rng(1).integers(0, vocabulary, (rows, length), np.int32)

    def loss(params: Any, tokens: jax.Array) -> jax.Array:
        ones = jnp.ones_like(tokens)
        hidden, _ = bundle.apply("lm", params, tokens, jnp.cumsum(ones, 1) - 1, ones)
        logits = bundle.apply("lm", params, hidden, method="logits")
        total, (count, _) = sft.cross_entropy(logits, *sft.following(tokens, ones))
        return total / count

    params = _params(bundle)
    if layout is not None:
        params = jax.device_put(params, layout.replicated)
        tokens = layout.put_batch(tokens)
    return Work(jax.grad(loss), (params, tokens), layout)


def _painter(patches: int) -> Work:
    """One forward pass of the latent decoder over a square picture."""
    told = {"family": "hunyuan_dit", "size": "tiny", "hidden": 352, "heads": 4}
    bundle = build.build({"dit": told})
    config = bundle["dit"].config
    side = config.patch * round(patches**0.5)
    given: dict[str, Any] = {"timesteps": np.full((1,), 500.0, np.float32)}
    given["latents"] = _normal(1, side, side, config.in_channels)
    for name in ("clip", "t5"):
        length = getattr(config, f"{name}_length")
        given[f"{name}_states"] = _normal(1, length, getattr(config, f"{name}_dim"))
        given[f"{name}_mask"] = np.ones((1, length), np.int32)

    def predict(params: Any, given: Any) -> jax.Array:
        return bundle.apply("dit", params, **given)

    return Work(predict, (_params(bundle), given))


def _aligner(queries: int, rows: int = 4, states: int = 64) -> Work:
    """Gradient of the aligner's imitation of a text encoder."""
    heads = {"heads": 2, "d_kv": 64}
    told = {"family": "bitransformer", "size": "tiny", "queries": queries, **heads}
    bundle = build.build({"aligner": told})
    width = bundle["aligner"].config.d_model
    target = _normal(rows, queries, width)

    def loss(params: Any, memory: jax.Array, target: jax.Array) -> jax.Array:
        shape = target.shape[:2]
        made = bundle.apply(
            "aligner", params, target, memory, replace=jnp.ones(shape, bool)
        )
        return semantic.semantic_mse(made, target)[0]

    arguments = _params(bundle), _normal(rows, states, width), target
    return Work(jax.grad(loss), arguments)


def _shared(devices: int) -> Work:
    """The same rows of text on each device, parameters on all of them."""
    layout = place.make({"data": devices}, "dp", devices=jax.devices()[:devices])
    return _decoder(2 * devices, 256, layout=layout)


AXES: Mapping[str, Axis] = {
    # Scores of attention lie in memory on a CPU, hence its square.
    "text": Axis("tokens", (256, 512, 1024, 2048), lambda n: _decoder(1, n), 2),
    # From 16 rows on XLA's choice of buffers stays the same.
    "batch": Axis("rows", (4, 8, 16, 32, 64), lambda n: _decoder(n, 256, 1), 1),
    "resolution": Axis("patches", (64, 144, 256, 576, 1024), _painter, 2),
    "queries": Axis("queries", (32, 64, 128, 256, 512), _aligner, 2),
    "devices": Axis("devices", (1, 2, 4, 8), _shared, 0, simulated=True),
}
