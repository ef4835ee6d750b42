"""Streams whose records each make one text with pictures in it, for next-token losses.

Axes: T text positions, P patches of pictures.
"""

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import chat, record_stream, rows
from bridge_jax.data.images import Source, size_of
from bridge_jax.data.record_stream import Row
from bridge_jax.data.rejects import Useless
from bridge_jax.data.shapes.stream import Stream as Choices

CHARACTERS = 64  # a token; what has more for each that fits is not even tokenized
Segment = tuple[chat.Row, list[rows.Picture]]


@dataclasses.dataclass(frozen=True)
class SegmentStream(record_stream.RecordStream):
    """Row: vlm {...}, targets [T], loss_mask [T] float32.

    Attributes:
      length: T.
      num_patches: P, of all pictures; 0 for text alone.
      evenness: see `rows.weigh_replies`; 0 as LLaVA has it, every token alike.
    """

    length: int = 2048
    num_patches: int = 576
    evenness: float = 0.0

    @abc.abstractmethod
    def read(self, where: str, record: Mapping[str, Any]) -> Any:
        """What the record means, with its pictures as `images`. Raises Useless."""

    @abc.abstractmethod
    def fitted(self, made: Any, grids: Sequence[chat.Grid], where: str) -> chat.Row:
        """As much of it as fits, with all pictures, of `grids`. Raises Useless."""

    def row(self, where: str, record: Mapping[str, Any], choices: Choices) -> Row:
        return self.packed([self.segment(where, record)])

    def segment(self, where: str, record: Mapping[str, Any]) -> Segment:
        """The text of a record, as much as fits, and its pictures.

        Raises:
          Useless: it is none, or none that fits.
        """
        made = self.read(where, record)
        pictures = [self._looked_at(one, where) for one in made.images]
        self._check_patches(sum(len(patches) for patches, _ in pictures), where)
        return self.fitted(made, [grid for _, grid in pictures], where), pictures

    def measure(self, where: str, record: Mapping[str, Any]) -> tuple[int, int]:
        """(tokens, patches) of a record, its pictures known by their headers.

        Raises:
          Useless: as `segment`, but for damage behind the headers.
        """
        made = self.read(where, record)
        try:
            grids = [self.processor.grid(*size_of(one)) for one in made.images]
        except BridgeError as error:
            raise Useless("picture", f"{where}: {error}") from None
        patches = sum(int(np.prod(grid)) for grid in grids)
        self._check_patches(patches, where)
        return len(self.fitted(made, grids, where).tokens), patches

    def packed(self, segments: Sequence[Segment]) -> Row:
        """A row of what fits together."""
        seen = [picture for _, pictures in segments for picture in pictures]
        out, response, _ = self.processor.vlm(
            [one for one, _ in segments], seen, self.length, self.num_patches
        )
        weights = rows.weigh_replies(response, self.evenness)
        return {"vlm": out, "targets": out["tokens"], "loss_mask": weights}

    def _looked_at(self, picture: Source, where: str) -> rows.Picture:
        image = self.opened(picture, where)
        try:
            return self.processor.look_at(image)
        except BridgeError as error:  # a shape that the layout refuses
            raise Useless("picture", f"{where}: {error}") from None

    def _check_patches(self, patches: int, where: str) -> None:
        if patches > self.num_patches:
            raise Useless(
                "length", f"{where}: {patches} patches, and {self.num_patches} fit"
            )
