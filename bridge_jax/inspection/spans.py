"""A row's tokens as runs of one kind: what is read, what is learnt, what is seen."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from bridge_jax.data.tokens import Tokenizer


@dataclasses.dataclass(frozen=True)
class Span:
    """Attributes:
    kind: "read", "learnt" or "seen".
    segment: number of its conversation in the row, from 1.
    tokens: how many.
    text: their words; "" for what is seen.
    """

    kind: str
    segment: int
    tokens: int
    text: str


def of_row(
    tokenizer: Tokenizer, vlm: Mapping[str, Any], weights: np.ndarray | None = None
) -> list[Span]:
    """Runs of the tokens of one row without its padding.

    Args:
      vlm: tokens, segments and perhaps image_index, [T] each.
      weights: [T], above 0 on what is learnt; None where nothing is.
    """
    tokens, segments = vlm["tokens"], vlm["segments"]
    kinds = np.zeros(len(tokens), np.int32)
    if weights is not None:
        kinds[np.asarray(weights) > 0] = 1
    if "image_index" in vlm:
        kinds[vlm["image_index"] >= 0] = 2
    marks = np.stack([kinds, segments])
    borders = np.flatnonzero((marks[:, 1:] != marks[:, :-1]).any(axis=0)) + 1
    found = []
    for place in np.split(np.arange(len(tokens)), borders):
        first = place[0]
        if segments[first]:
            kind = ("read", "learnt", "seen")[kinds[first]]
            text = "" if kind == "seen" else tokenizer.decode(tokens[place])
            found.append(Span(kind, int(segments[first]), len(place), text))
    return found
