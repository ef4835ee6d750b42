"""Run a sampler: one linear update a step, under `lax.scan`.

Every first-order or linear multistep sampler of a variance-preserving process is

    x_next = keep * x + clean * x0 + before * x0_of_the_step_before + spread * noise

with coefficients known in advance. A sampler (a file in `samplers/`) is only the table
of these coefficients; this file turns any table into images.
"""

import abc
import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Integer, Shaped

from bridge_jax.core.errors import BridgeError
from bridge_jax.core.types import Array
from bridge_jax.diffusion import schedules, targets

Column = np.ndarray | jax.Array
# (x [B, h, w, C], t float32 [B]) -> prediction [B, h, w, C]
Denoise = Callable[[jax.Array, jax.Array], jax.Array]


class Plan(NamedTuple):
    """Coefficients of n steps: float64 numpy [n] each, `timesteps` int64 [n]."""

    timesteps: Column
    signal: Column
    sigma: Column
    keep: Column
    clean: Column
    before: Column
    spread: Column

    @property
    def stochastic(self) -> bool:
        """Whether any step adds noise."""
        return bool(np.any(self.spread > 0))

    def since(self, start: int) -> "Plan":
        """The steps from `start` on, of which the first looks at none before it.

        A multistep update without a step before it is the one whose two clean samples
        are equal; nothing changes at start 0, which has none before it anyway.
        """
        cut = Plan(*(np.array(column[start:]) for column in self))
        if len(cut.clean):
            cut.clean[0] += cut.before[0]
            cut.before[0] = 0.0
        return cut

    def row(self, i: int) -> "Plan":
        """The coefficients of step i, as float32 scalars."""
        return Plan(*(jnp.asarray(column[i], jnp.float32) for column in self))


class State(NamedTuple):
    """What one step hands to the next; both [B, h, w, C] float32."""

    x: jax.Array
    x0: jax.Array  # clean sample predicted at the step before; anything at the start


@dataclasses.dataclass(frozen=True)
class LinearSampler(abc.ABC):
    """What all samplers share; each one adds `timesteps` and `plan`."""

    schedule: schedules.Schedule = schedules.HUNYUAN_V12
    prediction: str = "v"

    def __post_init__(self):
        targets.check(self.prediction)

    @abc.abstractmethod
    def timesteps(self, num_steps: int) -> np.ndarray:
        """Timesteps visited, from noise to image: int64 [num_steps]."""

    @abc.abstractmethod
    def plan(self, num_steps: int) -> Plan:
        """The table of coefficients of `num_steps` steps."""

    def check_steps(self, num_steps: int, limit: int) -> None:
        """Raises BridgeError unless 1 <= num_steps <= limit."""
        if not 1 <= num_steps <= limit:
            raise BridgeError(
                f"{num_steps} sampling steps are impossible with this schedule: "
                f"choose 1 to {limit}"
            )

    def step(
        self,
        row: Plan,
        state: State,
        output: Float[Array, "B h w C"],
        noise: Float[Array, "B h w C"] | None = None,
    ) -> State:
        """One update from the denoiser's output at (state.x, row.timesteps)."""
        x0 = targets.to_x0(self.prediction, output, state.x, row.signal, row.sigma)
        x = row.keep * state.x + row.clean * x0 + row.before * state.x0
        if noise is not None:
            x = x + row.spread * noise
        return State(x, x0)


def image_keys(key: jax.Array, ids: Integer[Array, " B"]) -> Shaped[Array, "B ..."]:
    """One key an image from its id (int [B]), whatever batch it is drawn in."""
    return jax.vmap(lambda number: jax.random.fold_in(key, number))(ids)


def normal(
    keys: jax.Array, stream: jax.Array | int, shape: tuple[int, ...]
) -> Float[Array, "B ..."]:
    """Standard normal float32 [B, *shape], image b's from keys[b] alone."""

    def draw(key):
        return jax.random.normal(jax.random.fold_in(key, stream), shape, jnp.float32)

    return jax.vmap(draw)(keys)


def initial_noise(keys: jax.Array, shape: tuple[int, ...]) -> Float[Array, "B ..."]:
    """Where sampling starts: [B, *shape]. Steps use streams 1, 2, ..., this one 0."""
    return normal(keys, 0, shape)


def mixture(sampler: LinearSampler, num_steps: int, start: int) -> tuple[float, float]:
    """Shares (of what is to be changed, of noise) where the step `start` begins.

    From 0 and 1 at start 0 to 1 and 0 at start `num_steps`.
    """
    if start == 0:
        return 0.0, 1.0
    if start == num_steps:
        return 1.0, 0.0
    plan = sampler.plan(num_steps)
    return float(plan.signal[start]), float(plan.sigma[start])


def sample(
    sampler: LinearSampler,
    denoise: Denoise,
    x_init: Float[Array, "B h w C"],
    keys: jax.Array,
    num_steps: int,
    start: int = 0,
) -> Float[Array, "B h w C"]:
    """Draw clean samples.

    Args:
      sampler: see `samplers.load`.
      denoise: (x [B, h, w, C], t float32 [B]) -> prediction [B, h, w, C], guidance
        applied and learned variances split off.
      x_init: [B, h, w, C], usually `initial_noise(keys, ...)`.
      keys: [B] random keys, see `image_keys`. Unused by deterministic samplers.
      num_steps: 1 to about the schedule's length.
      start: how many of the steps are left out; `x_init` is then as of `mixture`.

    Returns:
      float32 [B, h, w, C].
    """
    plan = sampler.plan(num_steps).since(start)
    advance = _stepper(sampler, denoise, keys, plan.stochastic)
    rows = Plan(*(jnp.asarray(column, jnp.float32) for column in plan))
    steps = rows, jnp.arange(start, num_steps)
    final, _ = jax.lax.scan(advance, begin(x_init), steps)
    return final.x


def begin(x_init: Float[Array, "B h w C"]) -> State:
    """The state before the first step."""
    x_init = x_init.astype(jnp.float32)
    return State(x_init, jnp.zeros_like(x_init))


def sample_part(
    sampler: LinearSampler,
    denoise: Denoise,
    state: State,
    keys: jax.Array,
    table: Plan,
    first: jax.Array,
    stop: jax.Array,
    start: jax.Array,
    stochastic: bool,
) -> State:
    """Some of the steps of `sample`, for callers who want to look in between.

    Coefficients and bounds are arrays: one program serves every part of any number of
    steps. Parts that follow each other compute what `sample` computes.

    Args:
      state: from `begin`, or from the part before.
      table: float32 coefficients of `plan(num_steps).since(start)`; rows may follow.
      first, stop: int32 scalars; steps first .. stop - 1 of those in the table.
      start: int32 scalar, how many steps were left out.
      stochastic: whether the plan is.
    """
    advance = _stepper(sampler, denoise, keys, stochastic)

    def one(i: jax.Array, state: State) -> State:
        row = Plan(*(column[i] for column in table))
        return advance(state, (row, i + start))[0]

    return jax.lax.fori_loop(first, stop, one, state)


def _stepper(
    sampler: LinearSampler, denoise: Denoise, keys: jax.Array, stochastic: bool
) -> Callable[[State, tuple[Plan, jax.Array]], tuple[State, None]]:
    """(state, (row, number of the step)) -> (state after it, nothing)."""

    def advance(state: State, inputs: tuple[Plan, jax.Array]):
        row, i = inputs
        t = jnp.full((state.x.shape[0],), row.timesteps)
        output = denoise(state.x, t).astype(jnp.float32)
        noise = normal(keys, i + 1, state.x.shape[1:]) if stochastic else None
        return sampler.step(row, state, output, noise), None

    return advance
