"""What people give: texts and pictures, checked all at once before any work."""

import dataclasses
import functools
import math
import os
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar

import numpy as np

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import images as images_lib
from bridge_jax.data import patches, rows, videos
from bridge_jax.data import processor as processor_lib

T = TypeVar("T")

FRAMES = 16  # of a video, at most
_PICTURES = 8  # a video takes no more room than so many pictures
_SHOWN = 5


@dataclasses.dataclass(frozen=True)
class Picture:
    """What the vision tower is shown of a picture: pixels uint8 [F, H, W, 3].

    Its patches are made when they are needed: they take sixteen times the room.
    """

    pixels: np.ndarray
    processor: processor_lib.Processor
    kind: ClassVar[str] = "image"  # of part that mentions it

    @property
    def grid(self) -> tuple[int, int, int]:
        """(t, h, w) in patches."""
        frames, height, width, _ = self.pixels.shape
        side = self.processor.config.patch
        return (frames, height // side, width // side)

    @property
    def size(self) -> int:
        """Number of patches."""
        return math.prod(self.grid)

    def patches(self) -> rows.Picture:
        """(patches [P, D] float32, grid), equal to `Processor.look_at`'s."""
        return self.processor.patches(self.pixels)


@dataclasses.dataclass(frozen=True)
class Film(Picture):
    """What the vision tower is shown of a video: pixels uint8 [F, H, W, 3]."""

    kind: ClassVar[str] = "video"

    @property
    def grid(self) -> tuple[int, int, int]:
        _, height, width = super().grid
        return (-(-len(self.pixels) // self.processor.config.temporal), height, width)

    def patches(self) -> rows.Picture:
        c = self.processor.config
        return patches.to_patches(self.pixels, c.patch, c.temporal, c.merge)


@dataclasses.dataclass(frozen=True)
class Video:
    """A video where a picture might be, to be looked at.

    Attributes:
      source: the path of an animation or a film (see `data/videos`), or uint8 frames
        [F, H, W, 3]. At most `FRAMES` are looked at, evenly spaced.
    """

    source: Any


def texts(values: Sequence[str], what: str) -> list[str]:
    """The texts as a list. Raises BridgeError naming those that say nothing."""
    if isinstance(values, str | bytes) or not isinstance(values, Sequence):
        raise BridgeError(f"{what}s must be a list of texts, not {values!r:.60}")
    if not values:
        raise BridgeError(f"no {what} was given: give at least one")
    problems = [
        f"{what} {i} is {'empty' if isinstance(text, str) else repr(text)[:60]}"
        for i, text in enumerate(values)
        if not isinstance(text, str) or not text.strip()
    ]
    _raise(problems, "write some words")
    return list(values)


def pictures(
    values: Sequence[Any], processor: processor_lib.Processor
) -> list[Picture]:
    """Open pictures and fit them to the tower.

    Args:
      values: paths, encoded bytes, PIL images or uint8 arrays [H, W, 3]; or `Video`s.

    Raises:
      BridgeError: no pictures, or every one that cannot be read.
    """
    return opened(values, functools.partial(_picture, processor=processor))


def opened(values: Sequence[Any], make: Callable[[Any], T]) -> list[T]:
    """What `make` gives for each picture.

    Raises:
      BridgeError: no list, no pictures, or what `make` raised, of all of them at once.
    """
    if isinstance(values, str | bytes) or _is_picture(values):
        raise BridgeError("images must be a list, even of one picture")
    if not len(values):
        raise BridgeError("no image was given: give at least one")
    made, problems = [], []
    for value in values:
        try:
            made.append(make(value))
        except BridgeError as error:
            problems.append(str(error))
    _raise(problems)
    return made


def grouped(
    values: Sequence[Any], processor: processor_lib.Processor
) -> list[list[Picture]]:
    """As `pictures`, where each value is one picture, None or a list of pictures."""
    lists = [_several(value) for value in values]
    flat = [one for several in lists for one in several]
    opened = iter(pictures(flat, processor) if flat else [])
    return [[next(opened) for _ in several] for several in lists]


def mentioned(values: Sequence[Any], kinds: Sequence[str]) -> list[Any]:
    """The values, those that stand for a part of kind "video" as `Video`s."""
    if isinstance(values, str | bytes) or _is_picture(values):
        return values  # no list: told where they are opened
    found = list(values)
    for i, kind in enumerate(kinds[: len(found)]):
        if kind == "video" and not isinstance(found[i], Video):
            found[i] = Video(found[i])
    return found


def grids(pictures: Sequence[Picture]) -> dict[str, list[tuple[int, int, int]]]:
    """Keywords of `Processor.render` that tell it of pictures and videos."""
    seen = {"grids": "image", "videos": "video"}
    return {
        name: [one.grid for one in pictures if one.kind == kind]
        for name, kind in seen.items()
    }


def same_length(first: Sequence[Any], second: Sequence[Any], names: str) -> None:
    """Raises BridgeError unless both have one length; names: "images and texts"."""
    if len(first) != len(second):
        raise BridgeError(
            f"{names}: {len(first)} and {len(second)} were given; give one for one"
        )


def within(sizes: Sequence[int], most: int, what: str) -> None:
    """Raises BridgeError naming every size (in tokens) above `most`."""
    _raise(
        [f"{what} {i} has {n:,} tokens" for i, n in enumerate(sizes) if n > most],
        f"at most {most:,} fit: shorten it",
    )


def positive(value: int, name: str) -> None:
    """Raises BridgeError unless `value` is a whole number from 1 up."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise BridgeError(f"{name} {value!r} is not a whole number from 1 up")


def _several(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def _is_picture(value: Any) -> bool:
    single = isinstance(value, np.ndarray) and value.ndim == 3
    return single or not isinstance(value, Sequence | np.ndarray)


def _picture(value: Any, processor: processor_lib.Processor) -> Picture:
    if isinstance(value, Video):
        return _film(value.source, processor)
    return Picture(processor.layout(images_lib.open_image(value)), processor)


def _film(source: Any, processor: processor_lib.Processor) -> Film:
    """Frames in as many patches as `_PICTURES` pictures have."""
    c = processor.config
    if c.layout != "native":
        raise BridgeError(
            f"this model looks at pictures of the layout {c.layout}, and at no videos:"
            " give it single frames"
        )
    if isinstance(source, str | os.PathLike):
        multiple = min(c.temporal, FRAMES)
        rate = videos.Rate(least=multiple, most=FRAMES, multiple=multiple)
        frames = videos.open_video(source, rate)
    elif (
        isinstance(source, np.ndarray)
        and source.dtype == np.uint8
        and source.ndim == 4
        and source.shape[-1] == 3
        and len(source)
    ):
        count = min(len(source), FRAMES)
        frames = source[np.round(np.linspace(0, len(source) - 1, count)).astype(int)]
    else:
        raise BridgeError("a video is a path, or frames as a uint8 array [F, H, W, 3]")
    most = _PICTURES * c.max_pixels // c.patch**2
    _, tall, wide = processor.video_grid(*frames.shape[:3], most)
    size = tall * c.patch, wide * c.patch
    fitted = np.stack([images_lib.resize(frame, *size) for frame in frames])
    return Film(fitted, processor)


def _raise(problems: Sequence[str], way_out: str = "") -> None:
    if not problems:
        return
    more = len(problems) - _SHOWN
    shown = [*problems[:_SHOWN], *([f"and {more} more"] if more > 0 else [])]
    raise BridgeError("; ".join([*shown, *([way_out] if way_out else [])]))
