"""How the next token is chosen, row by row: rows of any settings share one program.

B rows, V tokens. Settings stand in arrays [B]. Scores pass, in this order, through the
repetition penalty (CTRL, arXiv 1909.05858), the temperature, top-k, top-p (nucleus
sampling, arXiv 1904.09751) and min-p (arXiv 2407.01082), as transformers has them.
"""

import dataclasses
import math
import numbers as kinds
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from bridge_jax.core import rng
from bridge_jax.core.errors import BridgeError
from bridge_jax.core.types import Array
from bridge_jax.inference import settings

TOP = 20  # most alternatives that are told beside a token
COLDEST = 1e-6  # below, the likeliest is all that is left

Rules = dict[str, Any]  # arrays [B], see `rules`


@dataclasses.dataclass(frozen=True)
class Choice:
    """How the tokens of an answer are chosen, and where it ends.

    Attributes:
      max_new_tokens: most tokens of the answer.
      temperature: the likeliest token at 0, else one is drawn.
      top_k: only the k likeliest are drawn from; 0 for all.
      top_p: only the fewest likeliest whose chances add up to p; 1 for all.
      min_p: only those with at least p times the chance of the likeliest; 0 for all.
      repetition_penalty: what stood in the prompt or the answer before is made less
        likely by this factor of its score; 1 for none.
      seed: of what is drawn.
      stop: strings that end the answer; they and what follows are no part of it.
      logprobs: how many alternatives are told beside each token, with natural
        log-probabilities as the model gives them, before all of the above; None for
        no log-probabilities.
    """

    max_new_tokens: int = 64
    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    seed: int = 0
    stop: tuple[str, ...] = ()
    logprobs: int | None = None

    @property
    def greedy(self) -> bool:
        """Whether it needs no rules: the likeliest token is taken as it is."""
        return self.temperature < COLDEST and self.repetition_penalty == 1


def make(**given: Any) -> Choice:
    """A Choice, where `stop` may be one string, or a list or None."""
    stop = given.pop("stop", ()) or ()
    stop = (stop,) if isinstance(stop, str) else tuple(stop)
    return Choice(stop=stop, **given)


def check(choice: Choice, context: int) -> None:
    """Raises BridgeError for every value that cannot be, at once.

    Args:
      context: most tokens of a prompt and its answer together.
    """
    if wrong := problems(choice, context):
        raise BridgeError("; ".join(wrong))


def problems(choice: Choice, context: int) -> list[str]:
    """A sentence for every value that cannot be."""
    c, found = choice, []

    def need(fine: bool, name: str, what: str) -> None:
        if not fine:
            found.append(f"{name} {getattr(c, name)!r} {what}")

    need(
        _whole(c.max_new_tokens, 1, context - 1),
        "max_new_tokens",
        f"must lie between 1 and the context of {context}",
    )
    need(
        _number(c.temperature, 0, math.inf), "temperature", "is not a number from 0 up"
    )
    need(_whole(c.top_k, 0, 2**31 - 1), "top_k", "is not a whole number from 0 up")
    need(
        _number(c.top_p, 0, 1) and c.top_p > 0, "top_p", "is not above 0 and at most 1"
    )
    need(_number(c.min_p, 0, 1), "min_p", "is not between 0 and 1")
    need(
        _number(c.repetition_penalty, 0, math.inf) and c.repetition_penalty > 0,
        "repetition_penalty",
        "is not a number above 0",
    )
    found += settings.seed_problems(c.seed)
    need(
        isinstance(c.stop, tuple)
        and all(isinstance(one, str) and one for one in c.stop),
        "stop",
        "is not made of strings with something in them",
    )
    need(
        c.logprobs is None or _whole(c.logprobs, 0, TOP),
        "logprobs",
        f"is not a whole number from 0 to {TOP}",
    )
    return found


def rules(choices: Sequence[Choice]) -> Rules:
    """What `pick` reads: a numpy array [B] a setting, one value a row."""

    def column(name: str, dtype: Any) -> np.ndarray:
        return np.asarray([getattr(one, name) for one in choices], dtype)

    heat = column("temperature", np.float32)
    return {
        "temperature": np.where(heat < COLDEST, np.float32(0), heat),
        "top_k": column("top_k", np.int32),
        "top_p": column("top_p", np.float32),
        "min_p": column("min_p", np.float32),
        "repetition_penalty": column("repetition_penalty", np.float32),
        "seed": column("seed", np.uint32),
        "told": np.asarray([one.logprobs is not None for one in choices]),
    }


def pick(
    scores: Float[Array, "B V"],
    rules: Rules | None = None,
    seen: Bool[Array, "B V"] | None = None,
    numbers: jax.Array | None = None,
    turn: jax.Array | int = 0,
) -> Int[Array, " B"]:
    """The next token of each row, int32 [B].

    What no row asks for is not computed, so one program serves all settings.

    Args:
      scores: float32 [B, V].
      rules: see `rules`; None where every row takes the likeliest.
      seen: bool [B, V], tokens that stood in the row before; with rules.
      numbers: uint32 [B], which stream of random numbers each row draws from.
      turn: int [B] or int, how many tokens its answer has.
    """
    if rules is None:
        return jnp.argmax(scores, axis=-1).astype(jnp.int32)
    penalty, heat = rules["repetition_penalty"], rules["temperature"]
    scores = jax.lax.cond(
        (penalty != 1).any(),
        penalised,
        lambda scores, *_: scores,
        scores,
        seen,
        penalty,
    )
    likeliest = jnp.argmax(scores, axis=-1).astype(jnp.int32)
    hot = heat > 0
    turns = jnp.broadcast_to(jnp.asarray(turn, jnp.int32), heat.shape)

    def drawn() -> jax.Array:
        warmed = scores / jnp.where(hot, heat, 1)[:, None]
        warmed = _filtered(warmed, rules)
        keys = jax.vmap(_key)(rules["seed"], numbers, turns)
        found = jax.vmap(jax.random.categorical)(keys, warmed).astype(jnp.int32)
        return jnp.where(hot, found, likeliest)

    return jax.lax.cond(hot.any(), drawn, lambda: likeliest)


def penalised(
    scores: Float[Array, "B V"], seen: Bool[Array, "B V"], penalty: Float[Array, " B"]
) -> Float[Array, "B V"]:
    """Scores [B, V] of `seen` tokens (bool [B, V]) moved down by `penalty` [B]."""
    factor = penalty[:, None]
    lower = jnp.where(scores < 0, scores * factor, scores / factor)
    return jnp.where(seen, lower, scores)


def floor(
    scores: Float[Array, "B V"],
    top_k: Int[Array, " B"],
    top_p: Float[Array, " B"],
    min_p: Float[Array, " B"],
) -> Float[Array, " B"]:
    """The lowest score that may be drawn in each row, [B]; all else [B, V] or [B].

    Tokens of one score stay or go together.
    """
    size = scores.shape[-1]
    ordered = jnp.sort(scores, axis=-1, descending=True)
    last = jnp.where(top_k > 0, jnp.minimum(top_k, size), size) - 1
    inside = ordered >= jnp.take_along_axis(ordered, last[:, None], axis=1)
    chances = jax.nn.softmax(jnp.where(inside, ordered, -jnp.inf), axis=-1)
    before = jnp.cumsum(chances, axis=-1) - chances  # of the likelier tokens
    inside &= (before < top_p[:, None]) | (top_p >= 1)[:, None]
    least = jnp.where(inside, ordered, jnp.inf).min(axis=-1)
    return jnp.maximum(least, ordered[:, 0] + jnp.log(min_p))


def prompt_tokens(
    tokens: Int[Array, "B T"], segments: Shaped[Array, "B T"], size: int
) -> Bool[Array, "B V"]:
    """Which of `size` tokens stand in each row [B, T] but its padding: bool [B, V]."""
    rows = jnp.arange(tokens.shape[0])[:, None]
    none = jnp.zeros((tokens.shape[0], size), bool)
    return none.at[rows, tokens].max(segments != 0)


def remember(
    seen: Bool[Array, "B V"] | None, tokens: Int[Array, " B"]
) -> Bool[Array, "B V"] | None:
    """`seen` [B, V] with the tokens [B], too."""
    if seen is None:
        return None
    return seen.at[jnp.arange(tokens.shape[0]), tokens].set(True)


def told(scores: Float[Array, "B V"], tokens: Int[Array, " B"]) -> dict[str, jax.Array]:
    """Natural log-probabilities of what was chosen, and of what is likeliest.

    Args:
      scores: float32 [B, V], as the model gives them.
      tokens: int32 [B].

    Returns:
      own [B], float32; top [B, n] int32 and tops [B, n] float32, the n likeliest tokens
      (`TOP`, if there are so many) from the likeliest down.
    """
    chances = jax.nn.log_softmax(scores, axis=-1)
    own = jnp.take_along_axis(chances, tokens[:, None], axis=1)[:, 0]
    tops, top = jax.lax.top_k(chances, min(TOP, scores.shape[-1]))
    return {"own": own, "top": top.astype(jnp.int32), "tops": tops}


def untold(rows: int, slots: int, vocabulary: int) -> dict[str, np.ndarray]:
    """Room for what `told` says of `slots` tokens a row."""
    count = min(TOP, vocabulary)
    return {
        "own": np.zeros((rows, slots), np.float32),
        "top": np.zeros((rows, slots, count), np.int32),
        "tops": np.zeros((rows, slots, count), np.float32),
    }


def _filtered(scores: jax.Array, rules: Rules) -> jax.Array:
    """Scores [B, V] with -inf where top-k, top-p and min-p leave nothing."""
    kept = rules["top_k"], rules["top_p"], rules["min_p"]
    some = (kept[0] > 0) | (kept[1] < 1) | (kept[2] > 0)

    def cut(scores: jax.Array) -> jax.Array:
        return jnp.where(scores < floor(scores, *kept)[:, None], -jnp.inf, scores)

    return jax.lax.cond(some.any(), cut, lambda scores: scores, scores)


def _key(seed: jax.Array, number: jax.Array, turn: jax.Array) -> jax.Array:
    """Of one token: a function of the seed, of what is asked and of its place."""
    key = jax.random.fold_in(rng.stream(seed, "answer"), number)
    return jax.random.fold_in(key, turn)


def _whole(value: Any, least: int, most: int) -> bool:
    fits = isinstance(value, kinds.Integral) and not isinstance(value, bool)
    return fits and least <= value <= most


def _number(value: Any, least: float, most: float) -> bool:
    fits = isinstance(value, kinds.Real) and not isinstance(value, bool)
    return fits and math.isfinite(value) and least <= value <= most
