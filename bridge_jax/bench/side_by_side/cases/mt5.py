"""The encoder of mT5 against transformers: tokens, with padding, to states."""

import dataclasses

import numpy as np

from bridge_jax.bench.side_by_side.case import Case, Side, Task
from bridge_jax.models.mt5.config import SIZES as PUBLISHED

ROWS = 4
SIZES = {
    "tiny": PUBLISHED["tiny"],
    "small": dataclasses.replace(
        PUBLISHED["tiny"],
        layers=8,
        d_model=384,
        heads=6,
        d_kv=64,
        d_ff=1024,
        vocab=8192,
        length=128,
    ),
    "medium": dataclasses.replace(
        PUBLISHED["tiny"],
        layers=12,
        d_model=768,
        heads=12,
        d_kv=64,
        d_ff=2048,
        vocab=16384,
        length=256,
    ),
}


def _given(size: str) -> tuple[np.ndarray, np.ndarray]:
    """Tokens and mask, int64 [ROWS, length]; a quarter of the last row is padding."""
    config = SIZES[size]
    shape = (ROWS, config.length)
    tokens = np.random.default_rng(0).integers(3, config.vocab, shape)
    mask = np.ones(shape, np.int64)
    mask[-1, 3 * config.length // 4 :] = 0
    return tokens, mask


def _ours(task: Task) -> Side:
    from bridge_jax.bench.side_by_side import ours

    bundle, params = ours.load(task, "mt5")
    tokens, mask = _given(task.size)

    def states(params, tokens, mask):
        return bundle.apply("mt5", params, tokens, mask)

    run = ours.program(states, params, tokens.astype(np.int32), mask.astype(np.int32))
    return Side(run, lambda out: {"states": np.asarray(out)[mask == 1]})


def _theirs(task: Task) -> Side:
    from bridge_jax.bench.side_by_side.peers import encoders, sides

    tokens, mask = _given(task.size)
    model = sides.made(task, lambda: encoders.mt5(SIZES[task.size]))
    feed = sides.given(task, {"input_ids": tokens, "attention_mask": mask})
    side = sides.forward(task, lambda: model(**feed).last_hidden_state)
    return Side(side.run, lambda out: {"states": sides.array(out)[mask == 1]})


CASES = {
    "encode": Case(_ours, _theirs, lambda size: ROWS * SIZES[size].length, "token")
}
