"""Streams whose records each make one text with pictures in it, for next-token losses.

Axes: T text positions, P patches of pictures.
"""

import abc
import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import chat, rows, videos
from bridge_jax.data.choices import Choices
from bridge_jax.data.images import Source, size_of
from bridge_jax.data.records import record_stream
from bridge_jax.data.records.record_stream import Row
from bridge_jax.data.records.rejects import Useless

CHARACTERS = 64  # a token; what has more for each that fits is not even tokenized
Segment = tuple[chat.Row, list[rows.Picture]]
Grids = Mapping[str, Sequence[chat.Grid]]  # of every "image" and "video"


@dataclasses.dataclass(frozen=True)
class SegmentStream(record_stream.RecordStream):
    """Row: vlm {...}, targets [T], loss_mask [T] float32.

    Attributes:
      length: T.
      num_patches: P, of all pictures; 0 for text alone.
      evenness: see `rows.weigh_replies`; 0 as LLaVA has it, every token alike.
      fps: frames that are taken of a second of a video.
      frames: most of a video.
      video_patches: most of a video; 0 for half of P.
    """

    length: int = 2048
    num_patches: int = 576
    evenness: float = 0.0
    fps: float = 2.0
    frames: int = 32
    video_patches: int = 0

    @abc.abstractmethod
    def read(self, where: str, record: Mapping[str, Any]) -> Any:
        """What the record means, with its pictures as `images`. Raises Useless."""

    @abc.abstractmethod
    def fitted(self, made: Any, grids: Grids, where: str) -> chat.Row:
        """As much of it as fits, with all that it shows, of `grids`. Raises Useless."""

    def row(self, where: str, record: Mapping[str, Any], choices: Choices) -> Row:
        return self.packed([self.segment(where, record)])

    def segment(self, where: str, record: Mapping[str, Any]) -> Segment:
        """The text of a record, as much as fits, and what it shows.

        Raises:
          Useless: it is none, or none that fits.
        """
        made = self.read(where, record)
        with _pictures(where):
            seen = {
                "image": [self._looked_at(one, where) for one in made.images],
                "video": [self._watched(one) for one in made.videos],
            }
        self._check_patches(
            sum(len(patches) for some in seen.values() for patches, _ in some), where
        )
        grids = {kind: [grid for _, grid in some] for kind, some in seen.items()}
        row = self.fitted(made, grids, where)
        turns = {kind: iter(some) for kind, some in seen.items()}
        return row, [next(turns[kind]) for kind in made.shown]

    def measure(self, where: str, record: Mapping[str, Any]) -> tuple[int, int]:
        """(tokens, patches) of a record, what it shows known by headers.

        Raises:
          Useless: as `segment`, but for damage behind the headers.
        """
        made = self.read(where, record)
        with _pictures(where):
            grids = {
                "image": [self.processor.grid(*size_of(one)) for one in made.images],
                "video": [
                    self.processor.video_grid(
                        *videos.size_of(one, self._rate), self._video_patches
                    )
                    for one in made.videos
                ],
            }
        patches = sum(int(np.prod(grid)) for some in grids.values() for grid in some)
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

    @property
    def _rate(self) -> videos.Rate:
        multiple = self.processor.config.temporal
        least = min(max(4, multiple), self.frames)
        return videos.Rate(self.fps, least, self.frames, min(multiple, least))

    @property
    def _video_patches(self) -> int:
        return self.video_patches or self.num_patches // 2

    def _looked_at(self, picture: Source, where: str) -> rows.Picture:
        return self.processor.look_at(self.opened(picture, where))

    def _watched(self, video: Path) -> rows.Picture:
        frames = videos.open_video(video, self._rate)
        return self.processor.watch(frames, self._video_patches)

    def _check_patches(self, patches: int, where: str) -> None:
        if patches > self.num_patches:
            raise Useless(
                "length", f"{where}: {patches} patches, and {self.num_patches} fit"
            )


@contextlib.contextmanager
def _pictures(where: str) -> Iterator[None]:
    """What goes wrong inside is the fault of a picture or video."""
    try:
        yield
    except BridgeError as error:
        raise Useless("picture", f"{where}: {error}") from None
