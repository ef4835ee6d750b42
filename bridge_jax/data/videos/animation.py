"""Animated pictures (GIF, WebP, APNG), read by Pillow."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import PIL.Image

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import images

FORMATS = ("GIF", "WEBP", "PNG")
USUAL = 100  # milliseconds a frame, where a file does not say


class Reader:
    """See `videos.Reader`. All durations are added up, which decodes no pixel of GIFs.

    Raises:
      BridgeError: a file that is no animation of these kinds, or a damaged one.
    """

    def __init__(self, path: Path):
        self._path = path
        with self._opened() as image:
            self.size = image.height, image.width
            self.count = getattr(image, "n_frames", 1)
            duration = image.info.get("duration") or USUAL
        self.fps = 1000 / duration

    def frames(self, numbers: Sequence[int]) -> np.ndarray:
        with self._opened() as image:
            found = []
            for number in numbers:
                try:
                    image.seek(number)
                    frame = image.convert("RGBA")
                except Exception as error:  # decoders raise anything
                    raise BridgeError(
                        f"{self._path}: frame {number} is damaged ({error})"
                    ) from error
                found.append(images.open_image(frame))
        return np.stack(found)

    def _opened(self) -> PIL.Image.Image:
        try:
            return PIL.Image.open(self._path, formats=FORMATS)
        except Exception as error:
            raise BridgeError(f"{self._path}: is no readable animation") from error
