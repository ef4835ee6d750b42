"""Many conversations to answers, each beginning as soon as another has ended.

R rows decode side by side in one ring of S slots. After every few tokens those that
have stopped are read and their rows given to the next conversations, whose prompts
are read in batches of their own. So no row waits for the longest answer of a batch.

The answers are those of `decode.answers`: what a row sees does not depend on its
neighbours, nor on when it began.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bridge_jax.core import log, rng
from bridge_jax.core.types import Params
from bridge_jax.diffusion import sampling
from bridge_jax.inference import batching, decode
from bridge_jax.inference.engine import Engine
from bridge_jax.inference.results import Answer
from bridge_jax.layers import kv_cache as kv
from bridge_jax.models import bundle as bundle_lib

STEPS = 8  # tokens between two looks at who has stopped
SHARE = 4  # rows are given anew when one of so many is free

State = dict[str, Any]


def answers(
    engine: Engine,
    params: Params,
    conversations: Sequence[decode.Conversation],
    choice: decode.Choice,
    numbers: np.ndarray,
    description: str = "answering",
) -> list[Answer]:
    """As `decode.answers`, for more conversations than rows.

    Raises:
      BridgeError: every conversation that leaves no room for its answer.
    """
    decode.check(engine, conversations, choice)
    if not conversations:
        return []
    stops, shared = decode.common(engine, choice)
    greedy = choice.temperature == 0
    waiting = batching.by_size([one.size for one in conversations])
    rows = min(
        batching.power_bucket(len(waiting), engine.parts),
        batching.power_bucket(engine.limits.rows, engine.parts),
    )
    slots = batching.length_bucket(choice.max_new_tokens, decode.SLOTS)
    longest = max(len(one.row.tokens) for one in conversations)
    state = _empty(engine, rows, batching.length_bucket(longest), slots)
    holders = np.full(rows, -1)  # which conversation a row has
    found: dict[int, Answer] = {}
    with log.progress([], description, len(conversations)) as bar:
        while waiting or (holders >= 0).any():
            free = np.flatnonzero(holders < 0)
            if waiting and (len(free) * SHARE >= rows or len(free) >= len(waiting)):
                taken, waiting = waiting[: len(free)], waiting[len(free) :]
                holders[free[: len(taken)]] = taken
                state = _admit(
                    engine, params, state, shared, free, taken, conversations, numbers,
                    greedy,
                )  # fmt: skip
            state = engine.advance(
                advance, params, state, shared, steps=STEPS, greedy=greedy
            )
            done = np.asarray(state["done"]) & (holders >= 0)
            if done.any():
                written = np.asarray(state["written"])
                for row in np.flatnonzero(done):
                    tokens = written[row, : choice.max_new_tokens]
                    found[int(holders[row])] = decode.read(
                        engine.processor.llm, tokens, stops
                    )
                    bar.update(1)
                holders[done] = -1
    return [found[i] for i in range(len(conversations))]


def begin(
    bundle: bundle_lib.Bundle,
    params: Params,
    batch: Any,
    shared: dict[str, jax.Array],
    *,
    greedy: bool,
) -> State:
    """Program: the prompts of N conversations read, and their first tokens chosen.

    Args:
      batch: state {...} of R rows; new {vlm {...} padded on the left, deltas [N],
        numbers [N], rows [N], R where nobody is}.
      shared: as of `decode.answer`.

    Returns:
      The state.
    """
    state, new = batch["state"], batch["new"]
    fields = dict(new["vlm"])
    fields["positions"] = jnp.moveaxis(fields["positions"], 1, 0)
    count, length = fields["tokens"].shape
    cache = kv.empty(bundle["vlm"].config, count, length)
    hidden, out = bundle.apply("vlm", params, **fields, cache=cache)
    turn = jnp.zeros(count, jnp.int32)
    choose = _chooser(bundle, params, shared, greedy)
    token = choose(hidden, new["numbers"], turn)
    rows, stops = new["rows"], shared["stops"]
    none = jnp.full((count, state["written"].shape[1]), stops[0], jnp.int32)
    given = {
        "last": token,
        "position": new["deltas"].astype(jnp.int32) + length,
        "turn": turn + 1,
        "numbers": new["numbers"],
        "written": none.at[:, 0].set(token),
        "done": decode.ended(token, stops) | (shared["limit"] <= 1),
    }
    placed = {
        name: state[name].at[rows].set(value, mode="drop")
        for name, value in given.items()
    }
    return state | placed | {"cache": kv.admit(state["cache"], rows, out["cache"])}


def advance(
    bundle: bundle_lib.Bundle,
    params: Params,
    state: State,
    shared: dict[str, jax.Array],
    *,
    steps: int,
    greedy: bool,
) -> State:
    """Program: at most `steps` more tokens of every row that has not stopped."""
    stops = shared["stops"]
    choose = _chooser(bundle, params, shared, greedy)

    def unfinished(carry: tuple[jax.Array, State]) -> jax.Array:
        step, state = carry
        return (step < steps) & ~state["done"].all()

    def one(carry: tuple[jax.Array, State]) -> tuple[jax.Array, State]:
        step, state = carry
        done, turn = state["done"], state["turn"]
        positions = jnp.broadcast_to(
            state["position"][None, :, None], (3, len(done), 1)
        )
        hidden, out = bundle.apply(
            "vlm",
            params,
            state["last"][:, None],
            positions,
            (~done)[:, None].astype(jnp.int32),
            cache=state["cache"],
        )
        token = choose(hidden, state["numbers"], turn)
        token = jnp.where(done, stops[0], token)
        numbers = jnp.arange(len(done))
        # A row that has stopped writes nowhere.
        at = jnp.where(done, state["written"].shape[1], turn)
        moved = (~done).astype(jnp.int32)
        return step + 1, state | {
            "cache": out["cache"],
            "last": token,
            "position": state["position"] + moved,
            "turn": turn + moved,
            "written": state["written"].at[numbers, at].set(token, mode="drop"),
            "done": done | decode.ended(token, stops) | (turn + 1 >= shared["limit"]),
        }

    return jax.lax.while_loop(unfinished, one, (jnp.int32(0), state))[1]


def _chooser(bundle, params, shared, greedy: bool):
    def choose(hidden: jax.Array, numbers: jax.Array, turn: jax.Array) -> jax.Array:
        """Tokens int32 [B] after the last of `hidden` [B, T, D]; `turn` is [B]."""
        scores = bundle.apply("vlm", params, hidden[:, -1:], method="logits")[:, 0]
        if greedy:
            return jnp.argmax(scores, axis=-1).astype(jnp.int32)
        keys = sampling.image_keys(rng.stream(shared["seed"], "answer"), numbers)
        drawn = jax.vmap(jax.random.fold_in)(keys, turn)
        scores = scores / shared["temperature"]
        return jax.vmap(jax.random.categorical)(drawn, scores).astype(jnp.int32)

    return choose


def _empty(engine: Engine, rows: int, prompt: int, slots: int) -> State:
    """Nobody anywhere: `prompt` and `slots` are the most that a row has of each."""
    config = engine.bundle["vlm"].config
    zeros = np.zeros(rows, np.int32)
    return {
        "cache": kv.empty(config, rows, prompt + slots, kv.RingCache),
        "last": zeros,
        "position": zeros,
        "turn": zeros,
        "numbers": zeros.astype(np.uint32),
        "written": np.zeros((rows, slots), np.int32),
        "done": np.ones(rows, bool),
    }


def _admit(
    engine: Engine,
    params: Params,
    state: State,
    shared: dict[str, Any],
    free: np.ndarray,
    taken: Sequence[int],
    conversations: Sequence[decode.Conversation],
    numbers: np.ndarray,
    greedy: bool,
) -> State:
    """Give free rows to the conversations `taken`, in batches of a few sizes."""
    count = batching.power_bucket(len(taken), engine.parts)
    filling = [taken[0]] * (count - len(taken))
    new = decode.prepare(engine, [conversations[i] for i in (*taken, *filling)])
    new["numbers"] = numbers[[*taken, *filling]]
    rows = np.full(count, len(state["done"]), np.int32)
    rows[: len(taken)] = free[: len(taken)]
    batch = {"state": state, "new": new | {"rows": rows}}
    return engine.advance(begin, params, batch, shared, greedy=greedy)
