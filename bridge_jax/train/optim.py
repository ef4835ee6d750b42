"""Optimisers by name, with rate, decay and freezing by ordered regex lists."""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal

import jax
import optax

from bridge_jax.core import trees
from bridge_jax.core.errors import BridgeError
from bridge_jax.core.types import Params
from bridge_jax.train import muon, steady
from bridge_jax.train import spikes as spikes_lib

Patterns = tuple[tuple[str, float], ...]


@dataclasses.dataclass(frozen=True)
class OptimConfig:
    """Optimiser settings. Patterns are (regex of the whole path, value), first wins.

    Attributes:
      name: the rule that turns gradients into directions.
      learning_rate: peak.
      schedule: shape after the warm-up.
      warmup_steps: linear from 0.
      final_fraction: of the peak, at the last step (cosine and linear).
      weight_decay: decoupled, scaled by the learning rate.
      decay: factor on weight_decay a parameter; vectors (norms, biases) have 0.
      clip_norm: bound on the global norm of the gradients; 0 for none.
      b1, b2, eps: of adamw and of what muon leaves to it; b1 and b2 of lion.
      momentum: of muon.
      trainable: (regex, bool); frozen parts have no gradient and no optimiser state.
      rates: factor on the learning rate a parameter.
      ema_decay: of the average of the trained parts; 0 for none.
      spikes: which finite steps are skipped all the same.
    """

    name: Literal["adamw", "muon", "lion", "adafactor"] = "adamw"
    learning_rate: float = 1e-3
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup_steps: int = 0
    final_fraction: float = 0.0
    weight_decay: float = 0.0
    decay: Patterns = ((".*", 1.0),)
    clip_norm: float = 1.0
    b1: float = 0.9
    b2: float = 0.999
    eps: float = 1e-8
    momentum: float = 0.95
    trainable: tuple[tuple[str, bool], ...] = ((".*", True),)
    rates: Patterns = ((".*", 1.0),)
    ema_decay: float = 0.0
    spikes: spikes_lib.Rule = spikes_lib.Rule()


@dataclasses.dataclass(frozen=True)
class Optimizer:
    """What `make` returns.

    Attributes:
      transform: optax transformation over the trainable parts, whose update takes
        `good`, too: see `steady`.
      schedule: number of updates so far -> learning rate.
      trainable: tree of bools over all parameters.
      ema_decay, spikes: see OptimConfig.
    """

    transform: optax.GradientTransformation
    schedule: Callable[[Any], Any]
    trainable: Any
    ema_decay: float
    spikes: spikes_lib.Rule


def make(config: OptimConfig, params: Params, total_steps: int) -> Optimizer:
    """The optimiser of a run over `params` (arrays or abstract, all parts).

    Raises:
      BridgeError: a pattern that matches nothing, nothing left to train, or a warm-up
        as long as the run.
    """
    if config.warmup_steps >= total_steps > 0:
        raise BridgeError(
            f"warmup_steps {config.warmup_steps} leaves nothing of {total_steps} steps"
        )
    mask = trees.match(config.trainable, params)
    if not any(jax.tree.leaves(mask)):
        raise BridgeError("every parameter is frozen: see `trainable` in the config")
    # Patterns are matched on the whole tree, so that one list serves every stage.
    rates, _ = trees.partition(trees.match(config.rates, params), mask)
    decay, _ = trees.partition(trees.match(config.decay, params, 0.0), mask)
    schedule = make_schedule(config, total_steps)
    parts = [_direction(config)]
    if config.clip_norm:
        parts.insert(0, optax.clip_by_global_norm(config.clip_norm))
    if config.weight_decay:
        parts.append(_decay_weights(config.weight_decay, decay))
    if any(rate != 1.0 for rate in jax.tree.leaves(rates)):
        parts.append(_scale_each(rates))
    parts.append(steady.steady(optax.scale_by_learning_rate(schedule)))
    return Optimizer(
        optax.chain(*parts), schedule, mask, config.ema_decay, config.spikes
    )


def make_schedule(config: OptimConfig, total_steps: int) -> Callable[[Any], Any]:
    """Linear warm-up, then the named shape down to `final_fraction` of the peak."""
    peak, end = config.learning_rate, config.learning_rate * config.final_fraction
    steps = max(1, total_steps - config.warmup_steps)
    shapes = {
        "cosine": lambda: optax.cosine_decay_schedule(
            peak, steps, config.final_fraction
        ),
        "linear": lambda: optax.linear_schedule(peak, end, steps),
        "constant": lambda: optax.constant_schedule(peak),
    }
    shape = shapes[config.schedule]()
    if not config.warmup_steps:
        return shape
    # From 1/n and not from 0: the first step should not be a step of length nothing.
    warmup = optax.linear_schedule(
        peak / config.warmup_steps, peak, config.warmup_steps - 1
    )
    return optax.join_schedules([warmup, shape], [config.warmup_steps])


def _direction(config: OptimConfig) -> optax.GradientTransformation:
    if config.name == "adamw":
        return steady.adam(config.b1, config.b2, config.eps)
    if config.name == "muon":
        return _muon(config)
    if config.name == "lion":
        return steady.steady(optax.scale_by_lion(config.b1, config.b2))
    return steady.steady(
        optax.chain(
            optax.scale_by_factored_rms(),
            optax.clip_by_block_rms(1.0),
            optax.scale_by_param_block_rms(),
        )
    )


def _muon(config: OptimConfig) -> optax.GradientTransformation:
    """Orthogonalised momentum for the kernels, Adam for every other parameter.

    Updates of kernels have Adam's size whatever their shape (0.2 root mean square,
    arXiv 2502.16982), so one learning rate serves both. Embeddings, learned tokens and
    vectors are no maps from one space to another: orthogonalising them means nothing.
    """
    orthogonalised = optax.chain(
        muon.scale_by_muon(config.momentum),
        optax.stateless(lambda updates, _: jax.tree.map(_sized_as_adam, updates)),
    )

    def label(path: str, leaf: Any) -> str:
        kernel = path.rsplit("/", 1)[-1] == "kernel" and leaf.ndim > 1
        return "muon" if kernel else "adam"

    return optax.partition(
        {
            "muon": steady.steady(orthogonalised),
            "adam": steady.adam(config.b1, config.b2, config.eps),
        },
        lambda params: trees.map_paths(label, params),
    )


def _sized_as_adam(orthogonal: jax.Array) -> jax.Array:
    """Scale singular values of 1 to a root mean square of 0.2."""
    outputs = orthogonal.shape[-1]
    return 0.2 * max(orthogonal.size // outputs, outputs) ** 0.5 * orthogonal


def _decay_weights(rate: float, factors: Any) -> optax.GradientTransformation:
    """Add rate * factor * parameter to the update of each matrix."""

    def update(updates: Any, params: Any) -> Any:
        return jax.tree.map(
            lambda u, p, f: u + rate * f * p.astype(u.dtype) if p.ndim > 1 else u,
            updates,
            params,
            factors,
        )

    return optax.stateless(update)


def _scale_each(factors: Any) -> optax.GradientTransformation:
    """Multiply each parameter's update by its factor."""
    return optax.stateless(
        lambda updates, _: jax.tree.map(lambda u, f: u * f, updates, factors)
    )
