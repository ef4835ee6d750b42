"""Pictures that come in as data URLs or uploads, and go out as PNG in base64.

Nothing is ever fetched: what is no data URL is refused, whatever it names.
"""

import base64
import binascii
import dataclasses
import io
import re
from collections.abc import Sequence

import numpy as np
import PIL.Image

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import images
from bridge_jax.serve.fields import Reader
from bridge_jax.serve.limits import Limits
from bridge_jax.serve.refused import Refused

_DATA_URL = re.compile(r"data:image/[a-zA-Z.+-]{1,20}(;[a-zA-Z=0-9-]{1,40})*;base64,")


class Pictures:
    """The encoded pictures of one request, looked at before a pixel is decoded.

    Args:
      most: pictures, for endpoints that take fewer than the limits say.
    """

    def __init__(self, limits: Limits, most: int | None = None):
        self._limits = limits
        self._most = limits.pictures if most is None else most
        self._pixels = 0
        self.encoded: list[bytes] = []

    def data_url(self, read: Reader, name: str, url: str) -> None:
        """Take one in from "data:image/png;base64,..."."""
        start = _DATA_URL.match(url[:200])
        if start is None:
            read.wrong(
                name,
                "is no data URL of a picture (data:image/png;base64,...), and nothing"
                " is fetched here",
            )
            return
        try:
            data = base64.b64decode(url[start.end() :], validate=True)
        except (binascii.Error, ValueError):
            read.wrong(name, "is a data URL whose base64 is damaged")
            return
        self.file(read, name, data)

    def file(self, read: Reader, name: str, data: bytes) -> None:
        """Take one in as its file has it."""
        if len(self.encoded) == self._most:
            read.wrong(name, f"is one picture too many: give at most {self._most}")
            return
        try:
            height, width = images.size_of(data, self._of_header())
        except BridgeError as error:
            read.wrong(name, f"cannot be used: {error}")
            return
        self._pixels += height * width
        if self._pixels > self._limits.pixels:
            read.wrong(
                name,
                f"makes {self._pixels:,} pixels in all, and the limit is"
                f" {self._limits.pixels:,}: scale it down",
            )
            return
        self.encoded.append(data)

    def _of_header(self) -> images.Limits:
        limits = dataclasses.replace(images.Limits(), bytes=self._limits.body_bytes)
        return dataclasses.replace(limits, pixels=self._limits.pixels)


def decoded(encoded: Sequence[bytes]) -> list[np.ndarray]:
    """uint8 [H, W, 3] of each.

    Raises:
      Refused: naming every picture that is damaged.
    """
    made, problems = [], []
    for number, data in enumerate(encoded):
        try:
            made.append(images.open_image(data))
        except BridgeError as error:
            problems.append(f"picture {number} cannot be used: {error}")
    if problems:
        raise Refused(400, "; ".join(problems))
    return made


def png(pixels: np.ndarray) -> str:
    """uint8 [H, W, 3] as PNG in base64."""
    return base64.b64encode(png_bytes(pixels)).decode("ascii")


def png_bytes(pixels: np.ndarray) -> bytes:
    """uint8 [H, W, 3] as a PNG file."""
    file = io.BytesIO()
    PIL.Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
