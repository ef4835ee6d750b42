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

from bridge_jax.core.errors import BridgeError
from bridge_jax.diffusion import schedules, targets

Column = np.ndarray | jax.Array


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
        output: jax.Array,
        noise: jax.Array | None = None,
    ) -> State:
        """One update from the denoiser's output at (state.x, row.timesteps)."""
        x0 = targets.to_x0(self.prediction, output, state.x, row.signal, row.sigma)
        x = row.keep * state.x + row.clean * x0 + row.before * state.x0
        if noise is not None:
            x = x + row.spread * noise
        return State(x, x0)


def image_keys(key: jax.Array, ids: jax.Array) -> jax.Array:
    """One key an image from its id (int [B]), whatever batch it is drawn in."""
    return jax.vmap(lambda number: jax.random.fold_in(key, number))(ids)


def normal(
    keys: jax.Array, stream: jax.Array | int, shape: tuple[int, ...]
) -> jax.Array:
    """Standard normal float32 [B, *shape], image b's from keys[b] alone."""

    def draw(key):
        return jax.random.normal(jax.random.fold_in(key, stream), shape, jnp.float32)

    return jax.vmap(draw)(keys)


def initial_noise(keys: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Where sampling starts: [B, *shape]. Steps use streams 1, 2, ..., this one 0."""
    return normal(keys, 0, shape)


def sample(
    sampler: LinearSampler,
    denoise: Callable[[jax.Array, jax.Array], jax.Array],
    x_init: jax.Array,
    keys: jax.Array,
    num_steps: int,
) -> jax.Array:
    """Draw clean samples.

    Args:
      sampler: see `samplers.load`.
      denoise: (x [B, h, w, C], t float32 [B]) -> prediction [B, h, w, C], guidance
        applied and learned variances split off.
      x_init: [B, h, w, C], usually `initial_noise(keys, ...)`.
      keys: [B] random keys, see `image_keys`. Unused by deterministic samplers.
      num_steps: 1 to about the schedule's length.

    Returns:
      float32 [B, h, w, C].
    """
    plan = sampler.plan(num_steps)
    rows = Plan(*(jnp.asarray(column, jnp.float32) for column in plan))
    x_init = x_init.astype(jnp.float32)

    def advance(state: State, inputs: tuple[Plan, jax.Array]):
        row, i = inputs
        t = jnp.full((x_init.shape[0],), row.timesteps)
        output = denoise(state.x, t).astype(jnp.float32)
        noise = normal(keys, i + 1, x_init.shape[1:]) if plan.stochastic else None
        return sampler.step(row, state, output, noise), None

    start = State(x_init, jnp.zeros_like(x_init))
    final, _ = jax.lax.scan(advance, start, (rows, jnp.arange(num_steps)))
    return final.x
