"""CLIP's vision tower against transformers: pictures to LLaVA's features."""

import dataclasses

import numpy as np

from bridge_jax.bench.side_by_side.case import Case, Side, Task
from bridge_jax.models.clip_vit.config import SIZES as PUBLISHED

ROWS = 4
SIZES = {
    "tiny": PUBLISHED["tiny"],
    "small": dataclasses.replace(
        PUBLISHED["tiny"], image=224, hidden=384, layers=12, heads=6, ffn=1536
    ),
    "medium": dataclasses.replace(
        PUBLISHED["tiny"], image=224, hidden=768, layers=12, heads=12, ffn=3072
    ),
}


def _given(size: str) -> np.ndarray:
    """Pictures, float32 [ROWS, side, side, 3]."""
    side = SIZES[size].image
    rng = np.random.default_rng(0)
    return rng.standard_normal((ROWS, side, side, 3), np.float32)


def _ours(task: Task) -> Side:
    from bridge_jax.bench.side_by_side import ours

    bundle, params = ours.load(task, "clip_vit")

    def features(params, images):
        return bundle.apply("clip", params, images)

    return ours.forward(features, params, _given(task.size))


def _theirs(task: Task) -> Side:
    from bridge_jax.bench.side_by_side.peers import encoders, sides

    model = sides.made(task, lambda: encoders.clip(SIZES[task.size]))
    feed = sides.given(task, {"pixel_values": sides.to_nchw(_given(task.size))})

    def features():
        states = model(**feed, output_hidden_states=True).hidden_states
        return states[SIZES[task.size].select][:, 1:]

    return sides.forward(task, features)


CASES = {"encode": Case(_ours, _theirs, lambda size: ROWS, "picture")}
