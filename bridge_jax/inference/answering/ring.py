"""Rows that decode side by side in one ring of slots, and are given to new requests.

R rows, S slots, W places for what was written. A state is a dict of arrays with R as
their leading axis:
  cache: a `RingCache`.
  last, position, turn, numbers, limit, done: of each row its last token, where the next
    one stands, how many it has written and may write, which random numbers it draws.
  written: {"tokens": [R, W]} and, in a state that tells chances, those of
    `choosing.told`; the token of turn t stands in place t mod W.
  rules, seen: see `choosing`; only in a state whose rows are not all greedy.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bridge_jax.core.types import Params
from bridge_jax.inference.answering import choosing, decode
from bridge_jax.inference.engine import Engine
from bridge_jax.layers import kv_cache as kv
from bridge_jax.models import bundle as bundle_lib
from bridge_jax.models import view as view_lib

State = dict[str, Any]


def empty(
    engine: Engine, rows: int, slots: int, places: int, *, greedy: bool, told: bool
) -> State:
    """Nobody anywhere.

    Args:
      slots: S, the most that a row has of prompt and answer together.
      places: W, no fewer than are written between two looks.
      greedy: whether every row takes the likeliest token.
      told: whether chances are told.
    """
    config = engine.bundle["vlm"].config
    zeros = np.zeros(rows, np.int32)
    written = {"tokens": np.zeros((rows, places), np.int32)}
    if told:
        written |= choosing.untold(rows, places, config.vocab_size)
    state = {
        "cache": kv.empty(config, rows, slots, kv.RingCache),
        "last": zeros,
        "position": zeros,
        "turn": zeros,
        "limit": zeros,
        "numbers": zeros.astype(np.uint32),
        "written": written,
        "done": np.ones(rows, bool),
    }
    if not greedy:
        state["rules"] = choosing.rules([choosing.Choice()] * rows)
        state["seen"] = np.zeros((rows, config.vocab_size), bool)
    return state


def newcomers(
    engine: Engine,
    conversations: Sequence[decode.Conversation],
    choices: Sequence[choosing.Choice],
    numbers: np.ndarray,
    *,
    greedy: bool,
    prompts: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """`new` of `begin`, but for its rows: prompts and how they are to be answered.

    Args:
      prompts: what `decode.prepare` makes of the conversations, if it is made already.
    """
    new = prompts or decode.prepare(engine, conversations)
    limits = [choice.max_new_tokens for choice in choices]
    new |= {"numbers": numbers, "limit": np.asarray(limits, np.int32)}
    return new if greedy else new | {"rules": choosing.rules(choices)}


def begin(
    bundle: bundle_lib.Bundle,
    params: Params,
    batch: Any,
    shared: dict[str, jax.Array],
) -> State:
    """Program: the prompts of N requests read, and their first tokens chosen.

    Args:
      batch: state {...} of R rows; new {vlm {...} padded on the left, deltas, numbers,
        limit and rows [N], R where nobody is; rules, if the state has them}.
      shared: stops [n], ids that end an answer; maybe kept, what was read before the
        prompts: keys and values [K, P, D] of each layer, tokens [P] and count.

    Returns:
      The state.
    """
    state, new = batch["state"], batch["new"]
    fields = view_lib.as_called(new["vlm"])
    count, length = fields["tokens"].shape
    config = bundle["vlm"].config
    kept = shared.get("kept")
    if kept is None:
        cache = kv.empty(config, count, length)
    else:
        cache = kv.resume(kept["keys"], kept["values"], kept["count"], count, length)
    at = decode.last(fields)
    hidden, out = bundle.apply("vlm", params, **fields, cache=cache, at=at)
    given: State = {"limit": new["limit"], "numbers": new["numbers"]}
    if "rules" in state:
        seen = choosing.prompt_tokens(
            fields["tokens"], fields["segments"], config.vocab_size
        )
        if kept is not None:
            said = jnp.arange(kept["tokens"].shape[0]) < kept["count"]
            seen |= choosing.prompt_tokens(
                kept["tokens"][None], said[None], config.vocab_size
            )
        given |= {"rules": new["rules"], "seen": seen}
    turn = jnp.zeros(count, jnp.int32)
    said = _said(bundle, params, state, given, hidden, turn)
    token, stops = said["tokens"], shared["stops"]
    given |= {
        "last": token,
        "position": new["deltas"].astype(jnp.int32) + length,
        "turn": turn + 1,
        "written": {
            name: jnp.zeros((count, *state["written"][name].shape[1:]), one.dtype)
            .at[:, 0]
            .set(one)
            for name, one in said.items()
        },
        "done": decode.ended(token, stops) | (new["limit"] <= 1),
    }
    if "seen" in given:
        given["seen"] = choosing.remember(given["seen"], token)
    placed = jax.tree.map(
        lambda old, value: old.at[new["rows"]].set(value, mode="drop"),
        {name: state[name] for name in given},
        given,
    )
    cache = out["cache"]
    if kept is not None:  # without gaps, a row is no longer than its tokens
        cache = kv.packed(cache, state["cache"].valid.shape[1])
    return state | placed | {"cache": kv.admit(state["cache"], new["rows"], cache)}


def keep(
    bundle: bundle_lib.Bundle,
    params: Params,
    state: State,
    shared: dict[str, jax.Array],
    *,
    size: int,
) -> tuple[tuple[jax.Array, ...], tuple[jax.Array, ...]]:
    """Program: what the cache holds of one row; see `kv_cache.taken`.

    Args:
      state: cache alone.
      shared: row, a scalar.
    """
    return kv.taken(state["cache"], shared["row"], size)


def advance(
    bundle: bundle_lib.Bundle,
    params: Params,
    state: State,
    shared: dict[str, jax.Array],
    *,
    steps: int,
) -> State:
    """Program: at most `steps` more tokens of every row that has not stopped."""
    stops = shared["stops"]

    def unfinished(carry: tuple[jax.Array, State]) -> jax.Array:
        step, state = carry
        return (step < steps) & ~state["done"].all()

    def one(carry: tuple[jax.Array, State]) -> tuple[jax.Array, State]:
        step, state = carry
        done, turn = state["done"], state["turn"]
        rows, places = state["written"]["tokens"].shape
        positions = jnp.broadcast_to(state["position"][None, :, None], (3, rows, 1))
        hidden, out = bundle.apply(
            "vlm",
            params,
            state["last"][:, None],
            positions,
            (~done)[:, None].astype(jnp.int32),
            cache=kv.unfolded(state["cache"]),
        )
        said = _said(bundle, params, state, state, hidden, turn)
        token = said["tokens"] = jnp.where(done, stops[0], said["tokens"])
        numbers = jnp.arange(rows)
        # A row that has stopped writes nowhere.
        at = jnp.where(done, places, turn % places)
        moved = (~done).astype(jnp.int32)
        after = state | {
            "cache": kv.folded(out["cache"]),
            "last": token,
            "position": state["position"] + moved,
            "turn": turn + moved,
            "written": {
                name: old.at[numbers, at].set(said[name], mode="drop")
                for name, old in state["written"].items()
            },
            "done": done | decode.ended(token, stops) | (turn + 1 >= state["limit"]),
        }
        if "seen" in state:
            after["seen"] = choosing.remember(state["seen"], token)
        return step + 1, after

    carried = state | {"cache": kv.folded(state["cache"])}
    after = jax.lax.while_loop(unfinished, one, (jnp.int32(0), carried))[1]
    return after | {"cache": kv.unfolded(after["cache"])}


def _said(bundle, params, state, rows, hidden, turn) -> dict[str, jax.Array]:
    """Tokens after `hidden` [B, 1, D], with their chances if they are told.

    Args:
      state: whose places say what is told.
      rows: numbers [B], rules and seen of those that speak.
    """
    scores = bundle.apply("vlm", params, hidden, method="logits")[:, 0]
    rules, seen = rows.get("rules"), rows.get("seen")
    token = choosing.pick(scores, rules, seen, rows["numbers"], turn)
    said = {"tokens": token}
    if "own" not in state["written"]:
        return said
    if rules is None:
        return said | choosing.told(scores, token)
    nothing = choosing.untold(1, scores.shape[0], scores.shape[1])
    return said | jax.lax.cond(
        rules["told"].any(),
        choosing.told,
        lambda *_: {name: jnp.asarray(one[0]) for name, one in nothing.items()},
        scores,
        token,
    )
