"""Videos: some of their frames, evenly spaced, at about a rate and within limits.

One file here reads each kind of file. Which frames are taken is known from the header.
Source of the rule: Qwen2-VL (arXiv 2409.12191, section 2.1) and its published tools.
"""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from bridge_jax.core import rooms
from bridge_jax.core.errors import BridgeError

# Suffix -> the file here that reads it.
READERS = {
    ".gif": "animation",
    ".webp": "animation",
    ".png": "animation",
    ".apng": "animation",
    ".mp4": "container",
    ".m4v": "container",
    ".mov": "container",
    ".mkv": "container",
    ".webm": "container",
    ".avi": "container",
}


@dataclasses.dataclass(frozen=True)
class Limits:
    """What is refused before decoding."""

    bytes: int = 2 * 2**30
    pixels: int = 4096 * 2304  # of a frame
    frames: int = 200_000


@dataclasses.dataclass(frozen=True)
class Rate:
    """Which frames are taken.

    Attributes:
      fps: frames of a second.
      least, most: frames of a video, whatever its length; a shorter one has them all.
      multiple: they are a multiple of this, where there are so many.
    """

    fps: float = 2.0
    least: int = 4
    most: int = 32
    multiple: int = 2

    def __post_init__(self):
        if not (0 < self.fps and 1 <= self.multiple <= self.least <= self.most):
            raise BridgeError(
                f"frames of videos: {self.fps} a second, {self.least} to {self.most} in"
                f" multiples of {self.multiple}, is not possible"
            )


class Reader(Protocol):
    """What a `Reader(path)` is: frames of one file, by number.

    Attributes:
      count: frames; at least 1.
      fps: frames a second, on average.
      size: height and width of each.
    """

    count: int
    fps: float
    size: tuple[int, int]

    def frames(self, numbers: Sequence[int]) -> np.ndarray:
        """uint8 [len(numbers), H, W, 3]; `numbers` ascend. Raises BridgeError."""


def open_reader(path: str | os.PathLike, limits: Limits = Limits()) -> Reader:
    """The header of a video.

    Raises:
      BridgeError: no file, of no known kind, damaged, or above the limits.
    """
    path = Path(path)
    if path.suffix.lower() not in READERS:
        raise BridgeError(f"{path}: videos are read from {', '.join(READERS)}")
    if not path.is_file():
        raise BridgeError(f"{path}: no such file")
    if path.stat().st_size > limits.bytes:
        raise BridgeError(f"{path}: more than {limits.bytes:,} bytes; cut it")
    name = READERS[path.suffix.lower()]
    reader = rooms.load(__name__, name, "Reader", str(path))(path)
    height, width = reader.size
    if height * width > limits.pixels or reader.count > limits.frames:
        raise BridgeError(
            f"{path}: {reader.count:,} frames of {width} x {height} are more than"
            f" {limits.frames:,} of {limits.pixels:,} pixels; cut it, or scale it down"
        )
    return reader


def numbers(count: int, fps: float, rate: Rate) -> np.ndarray:
    """Which of `count` frames are taken, evenly, the first and the last among them."""
    wanted = count / max(fps, 1e-6) * rate.fps
    wanted = min(max(wanted, rate.least), rate.most, count)
    whole = int(wanted) // rate.multiple * rate.multiple or min(count, rate.multiple)
    return np.round(np.linspace(0, count - 1, whole)).astype(np.int64)


def size_of(
    path: str | os.PathLike, rate: Rate, limits: Limits = Limits()
) -> tuple[int, int, int]:
    """(F, H, W) of what `open_video` gives, from the header."""
    reader = open_reader(path, limits)
    return (len(numbers(reader.count, reader.fps, rate)), *reader.size)


def open_video(
    path: str | os.PathLike, rate: Rate, limits: Limits = Limits()
) -> np.ndarray:
    """Frames of a video, uint8 [F, H, W, 3].

    Raises:
      BridgeError: see `open_reader`; damage behind the header.
    """
    reader = open_reader(path, limits)
    return reader.frames(numbers(reader.count, reader.fps, rate).tolist())
