"""Retrieval: find the picture of a caption, and the caption of a picture."""

from pathlib import Path

import numpy as np

from bridge_jax.data import shapes_world
from bridge_jax.eval import batches, records
from bridge_jax.eval.options import Options
from bridge_jax.eval.system import System

CUTS = (1, 5, 10)
SHOWN = 10  # results kept for each query


def evaluate(
    model: System, split: str, folder: Path, options: Options
) -> dict[str, float]:
    """i2t_r1, i2t_r5, i2t_r10 and the same for t2i, among distinct scenes.

    Captions that leave things out may fit several scenes: any scene of an equal
    caption is then a hit. Writes pictures/00000.png, ... and found.jsonl: caption, and
    the nearest pictures and captions by number.
    """
    items = shapes_world.distinct_scenes(split, options.scenes)
    captions = [item.caption(options.captions) for item in items]
    for number, item in enumerate(items):
        records.write_picture(folder / f"pictures/{number:05}.png", item.image)
    pictures = _embed(model, "images", [item.image for item in items], options.batch)
    texts = _embed(model, "texts", captions, options.batch)
    similarity = pictures @ texts.T
    _, same = np.unique(captions, return_inverse=True)
    figures = {}
    for name, scores in (("i2t", similarity), ("t2i", similarity.T)):
        figures |= {f"{name}_r{k}": v for k, v in recall(scores, same).items()}
    nearest = [np.argsort(-s, axis=1)[:, :SHOWN] for s in (similarity.T, similarity)]
    records.write_lines(
        folder / "found.jsonl",
        (
            {"caption": caption, "pictures": seen.tolist(), "captions": said.tolist()}
            for caption, seen, said in zip(captions, *nearest, strict=True)
        ),
    )
    return figures


def recall(similarity: np.ndarray, same: np.ndarray) -> dict[int, float]:
    """Share of queries with a right result among the first k, for k in CUTS.

    Ties count against the query, and so do values that are not numbers: a model that
    embeds everything alike finds nothing.

    Args:
      similarity: [queries, candidates], query i belonging to candidate i.
      same: [N] labels; candidates of the query's label are right.
    """
    right = same[:, None] == same[None, :]
    best = np.where(right, similarity, -np.inf).max(axis=1)
    ahead = (~right & ~(similarity < best[:, None])).sum(axis=1)
    return {k: float((ahead < k).mean()) for k in CUTS}


def _embed(model: System, side: str, values: list, most: int) -> np.ndarray:
    """float32 [N, E]; `side` is "images" or "texts"."""
    found = [
        np.asarray(model.embed(**{side: rows}))[:real]
        for _, rows, real in batches.batches(values, most, side)
    ]
    return np.concatenate(found).astype(np.float32)
