"""Pictures of pictures: grids, enlargements, labels. All are uint8 [H, W, 3]."""

import io
import math
import textwrap
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

PAPER = (255, 255, 255)
INK = (38, 42, 51)
FAINT = (112, 118, 130)


def grid(
    pictures: Sequence[np.ndarray], columns: int | None = None, gap: int = 2
) -> np.ndarray:
    """Equal-sized pictures in rows, on white; by default as square as it gets."""
    pictures = [np.asarray(picture, np.uint8) for picture in pictures]
    columns = columns or math.ceil(math.sqrt(len(pictures)))
    rows = -(-len(pictures) // columns)
    height, width, _ = pictures[0].shape
    shape = (rows * (height + gap) - gap, columns * (width + gap) - gap, 3)
    sheet = np.full(shape, PAPER, np.uint8)
    for index, picture in enumerate(pictures):
        top = index // columns * (height + gap)
        left = index % columns * (width + gap)
        sheet[top : top + height, left : left + width] = picture
    return sheet


def enlarge(picture: np.ndarray, factor: int) -> np.ndarray:
    """Each pixel as a square of factor x factor."""
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)


def label(text: str, width: int, size: int = 14, faint: bool = False) -> np.ndarray:
    """Text on white, broken into lines: [H, width, 3]."""
    font = ImageFont.load_default(size)
    letters = max(1, int(width / (font.getlength("abcdefghij klmno") / 16)))
    lines = textwrap.wrap(text, letters) or [""]
    step = int(size * 1.35)
    sheet = Image.new("RGB", (width, step * len(lines) + 4), PAPER)
    pen = ImageDraw.Draw(sheet)
    for number, line in enumerate(lines):
        place, ink = (0, 2 + number * step), FAINT if faint else INK
        pen.text(place, line, font=font, fill=ink)
    return np.asarray(sheet)


def stack(pictures: Sequence[np.ndarray], gap: int = 6) -> np.ndarray:
    """Pictures of any size below each other, flush left on white."""
    width = max(picture.shape[1] for picture in pictures)
    padded = [_pad(picture, picture.shape[0] + gap, width) for picture in pictures]
    return np.concatenate(padded)


def beside(pictures: Sequence[np.ndarray], gap: int = 12) -> np.ndarray:
    """Pictures of any size next to each other, flush with the top on white."""
    height = max(picture.shape[0] for picture in pictures)
    padded = [_pad(picture, height, picture.shape[1] + gap) for picture in pictures]
    return np.concatenate(padded, axis=1)


def frame(picture: np.ndarray, width: int = 16) -> np.ndarray:
    """The picture with a white border."""
    height, across, _ = picture.shape
    padded = _pad(picture, height + width, across + width)
    sheet = np.full((height + 2 * width, across + 2 * width, 3), PAPER, np.uint8)
    sheet[width:, width:] = padded
    return sheet


def png(picture: np.ndarray) -> bytes:
    """The picture as a PNG file."""
    memory = io.BytesIO()
    Image.fromarray(picture).save(memory, "PNG", optimize=True)
    return memory.getvalue()


def _pad(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    sheet = np.full((height, width, 3), PAPER, np.uint8)
    sheet[: picture.shape[0], : picture.shape[1]] = picture
    return sheet
