"""Beginnings that were read before, so that they are not read again.

A token's keys and values depend on what stands before it and on nothing else. So a
prompt that begins as another did, word for word and pixel for pixel, goes on from what
the cache had then: system prompts, pictures, and all earlier turns of a conversation.
T tokens of a row, the first P of them kept, L layers, K heads of width D.
"""

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from bridge_jax.data import chat, mrope, patches
from bridge_jax.inference import batching, opening
from bridge_jax.inference.answering import decode
from bridge_jax.inference.engine import Engine

SIZE = 2 * batching.TOKENS  # sizes are a power of two times this
LEAST = batching.TOKENS  # tokens; shorter beginnings are read again as quickly


@dataclasses.dataclass(frozen=True)
class Beginning:
    """What a cache held of the first tokens of a row.

    Attributes:
      names: int64 [P], see `names`.
      keys, values: L arrays, [K, D, size] and [K, size, D], size at least P.
    """

    names: np.ndarray
    keys: tuple[jax.Array, ...]
    values: tuple[jax.Array, ...]

    @property
    def size(self) -> int:
        return self.values[0].shape[1]


class Kept:
    """Beginnings, those used last; together no more than `most` tokens."""

    def __init__(self, most: int):
        self._most = most
        self._all: list[Beginning] = []  # the one used last stands last

    def __len__(self) -> int:
        return len(self._all)

    def find(self, wanted: np.ndarray) -> tuple[Beginning, int] | None:
        """What shares most with a row, and how many tokens; None if hardly any.

        One token at least is left to be read: the next one follows from it.
        """
        shares = [
            min(opening.in_common(one.names, wanted), len(wanted) - 1)
            for one in self._all
        ]
        best = max(range(len(shares)), key=shares.__getitem__, default=None)
        if best is None or shares[best] < LEAST:
            return None
        self._all.append(self._all.pop(best))
        return self._all[-1], shares[best]

    def knows(self, names: np.ndarray) -> bool:
        """Whether there is nothing to add: it is kept, or too short for that."""
        kept = any(
            opening.in_common(names, one.names) == len(names) for one in self._all
        )
        return kept or len(names) < LEAST

    def add(self, new: Beginning) -> None:
        """Keep it in place of those that it goes on from."""
        self._all = [
            one
            for one in self._all
            if opening.in_common(one.names, new.names) < len(one.names)
        ] + [new]
        while self._all and sum(one.size for one in self._all) > self._most:
            self._all.pop(0)


def names(conversation: decode.Conversation, merge: int) -> np.ndarray:
    """What stands at each place of a row: int64 [T], two places alike in this alone.

    A token's id, or below zero a hash of a picture's pixels and of the place in it.
    """
    row = conversation.row
    found = row.tokens.astype(np.int64)
    seen = []
    for picture in conversation.pictures:
        pixels = picture.pixels
        head = f"{type(picture).__name__}{pixels.shape}".encode()
        digest = hashlib.blake2b(head + pixels.tobytes(), digest_size=7).digest()
        places = np.arange(mrope.visual_length(picture.grid, merge))
        seen.append(-1 - int.from_bytes(digest) - places)
    if seen:
        found[row.visual] = np.concatenate(seen)
    return found


def rest(
    engine: Engine, conversation: decode.Conversation, skip: int, most: int
) -> dict[str, Any]:
    """As `decode.prepare` of one row, but for its first `skip` tokens.

    Args:
      most: of T; otherwise it is a power of two times `batching.TOKENS`.
    """
    processor, merge = engine.processor, engine.processor.config.merge
    row = conversation.row
    new = len(row.tokens) - skip
    length = min(batching.power_bucket(new, batching.TOKENS), most)
    whole = max(len(row.tokens), length)
    fields = chat.pad_batch(
        [row], whole, processor.llm.pad_id or 0, merge, side="left", rule=processor.rule
    )
    vlm = {name: fields[name][:, -length:] for name in ("tokens", "segments")}
    vlm["segments"] = vlm["segments"].copy()
    vlm["segments"][:, : length - new] = 0
    vlm["positions"] = np.moveaxis(fields["positions"][..., -length:], 0, 1)
    before = int(row.visual[:skip].sum())
    sizes = [mrope.visual_length(one.grid, merge) for one in conversation.pictures]
    ends = np.cumsum(sizes)
    left = [
        one
        for one, end in zip(conversation.pictures, ends, strict=True)
        if end > before
    ]
    if left:
        packed = patches.pack(
            [[picture.patches() for picture in left]],
            batching.power_bucket(sum(p.size for p in left), processor.layout.unit),
            processor.patch_width,
            merge,
        )
        vlm |= dict(zip(decode.PATCHES, packed, strict=True))
        index = fields["image_index"][:, -length:]
        vlm["image_index"] = np.where(index < before, -1, index - before)
    # Positions are counted from the first of these tokens.
    return {"vlm": vlm, "deltas": fields["deltas"] + (whole - length)}


def padded(tokens: Sequence[int], size: int) -> np.ndarray:
    """int32 [size]: tokens, then zeros."""
    found = np.zeros(size, np.int32)
    found[: len(tokens)] = tokens
    return found
