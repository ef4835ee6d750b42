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
import numpy as np

from bridge_jax.core import log
from bridge_jax.core.types import Params
from bridge_jax.inference import batching
from bridge_jax.inference.answering import decode, reading
from bridge_jax.inference.answering.ring import State, advance, begin, empty, newcomers
from bridge_jax.inference.engine import Engine
from bridge_jax.inference.results import Answer

STEPS = 8  # tokens between two looks at who has stopped
SHARE = 4  # rows are given anew when one of so many is free


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
    waiting = batching.by_size([one.size for one in conversations])
    rows = min(
        batching.power_bucket(len(waiting), engine.parts),
        batching.power_bucket(engine.limits.rows, engine.parts),
    )
    slots = batching.length_bucket(choice.max_new_tokens, decode.SLOTS)
    longest = max(len(one.row.tokens) for one in conversations)
    state = empty(
        engine,
        rows,
        batching.length_bucket(longest) + slots,
        slots,
        greedy=choice.greedy,
        told=choice.logprobs is not None,
    )
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
                    choice,
                )  # fmt: skip
            state = engine.advance(advance, params, state, shared, steps=STEPS)
            done = np.asarray(state["done"]) & (holders >= 0)
            if done.any():
                written = jax.tree.map(np.asarray, state["written"])
                turns = np.asarray(state["turn"])
                for row in np.flatnonzero(done):
                    i = int(holders[row])
                    said = {k: v[row, : turns[row]] for k, v in written.items()}
                    size = len(conversations[i].row.tokens)
                    found[i] = reading.answer(
                        engine.processor.llm, said["tokens"], stops, choice, said, size
                    )
                    bar.update(1)
                holders[done] = -1
    return [found[i] for i in range(len(conversations))]


def _admit(
    engine: Engine,
    params: Params,
    state: State,
    shared: dict[str, Any],
    free: np.ndarray,
    taken: Sequence[int],
    conversations: Sequence[decode.Conversation],
    numbers: np.ndarray,
    choice: decode.Choice,
) -> State:
    """Give free rows to the conversations `taken`, in batches of a few sizes."""
    count = batching.power_bucket(len(taken), engine.parts)
    filling = [taken[0]] * (count - len(taken))
    some = [*taken, *filling]
    new = newcomers(
        engine,
        [conversations[i] for i in some],
        [choice] * count,
        numbers[some],
        greedy=choice.greedy,
    )
    rows = np.full(count, len(state["done"]), np.int32)
    rows[: len(taken)] = free[: len(taken)]
    batch = {"state": state, "new": new | {"rows": rows}}
    return engine.advance(begin, params, batch, shared)
