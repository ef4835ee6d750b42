"""Conversations and pictures -> the fields that the vision-language model reads.

A row may hold several conversations as segments: attention and positions restart at
each, so packing changes no loss. Axes: T text positions, P patches.
"""

from collections.abc import Sequence

import numpy as np

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import chat, mrope, patches, positions

Picture = tuple[np.ndarray, tuple[int, int, int]]  # patches [P, D], grid (t, h, w)


def language(
    conversations: Sequence[chat.Row],
    length: int,
    pad_id: int,
    merge: int = 2,
    rule: positions.Rule = mrope.row_positions,
) -> dict[str, np.ndarray]:
    """Pack conversations one after another into T = `length` positions.

    Args:
      rule: of `positions.RULES`.

    Returns:
      tokens, segments (1, 2, ...; 0 is padding), image_index [T] int32; positions
      [3, T] int32; response and caption [T] bool.

    Raises:
      BridgeError: they do not fit.
    """
    total = sum(len(row.tokens) for row in conversations)
    if total > length:
        raise BridgeError(
            f"{total} tokens do not fit into {length}: shorten the text, use smaller "
            "pictures, or give the stream a greater length"
        )
    out = {
        "tokens": np.full(length, pad_id, np.int32),
        "segments": np.zeros(length, np.int32),
        "positions": np.full((3, length), mrope.PADDING_POSITION, np.int32),
        "response": np.zeros(length, bool),
        "caption": np.zeros(length, bool),
        "visual": np.zeros(length, bool),
    }
    start = 0
    for number, row in enumerate(conversations, 1):
        place = slice(start, start + len(row.tokens))
        out["segments"][place] = number
        out["positions"][:, place] = rule(row.visual, row.grids, merge)
        for name in ("tokens", "response", "caption", "visual"):
            out[name][place] = getattr(row, name)
        start = place.stop
    out["image_index"] = mrope.image_index(out.pop("visual"))
    return out


def vision(
    pictures: Sequence[Picture], length: int, width: int, merge: int = 2
) -> dict[str, np.ndarray]:
    """Pack pictures into P = `length` patches: patches, coordinates, patch_segments."""
    packed = patches.pack([pictures], length, width, merge)
    names = ("patches", "coordinates", "patch_segments")
    return {name: array[0] for name, array in zip(names, packed, strict=True)}


def memory(marked: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the marked tokens, padded: index [S] int32 and mask [S] bool.

    Args:
      marked: [T] bool, the tokens whose states the aligner reads.
      length: S.

    Raises:
      BridgeError: more tokens are marked than fit.
    """
    found = np.flatnonzero(marked)
    if len(found) > length:
        raise BridgeError(
            f"{len(found)} memory tokens do not fit into {length}: shorten the caption,"
            " use a smaller picture, or raise the memory length"
        )
    index = np.zeros(length, np.int32)
    index[: len(found)] = found
    return index, np.arange(length) < len(found)


def weigh_replies(response: np.ndarray, evenness: float) -> np.ndarray:
    """Weights of a row's tokens in its loss: [T] bool -> [T] float32.

    A reply is a run of response tokens. With `evenness` 0 every token counts alike,
    with 1 every reply does, however long; between, a reply of n tokens counts
    n ** (1 - evenness).
    """
    padded = np.concatenate([[False], response, [False]]).astype(np.int8)
    starts = np.flatnonzero(np.diff(padded) == 1)
    stops = np.flatnonzero(np.diff(padded) == -1)
    weights = np.zeros(len(response), np.float32)
    for start, stop in zip(starts, stops, strict=True):
        weights[start:stop] = (stop - start) ** -evenness
    return weights
