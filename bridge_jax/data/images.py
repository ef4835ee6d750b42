"""Pictures from outside, opened safely, and the sizes Qwen2-VL gives them.

Files are strangers' data: the header is checked against our own limits before a pixel
is decoded, and whatever the decoder raises becomes one line that names the file.
"""

import dataclasses
import io
import math
import os
import pathlib
import threading
import warnings
from typing import BinaryIO

import numpy as np
import PIL.ExifTags
import PIL.Image
import PIL.ImageOps

from bridge_jax.core.errors import BridgeError

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
WAY_OUT = f"use a {', '.join(FORMATS[:-1])} or {FORMATS[-1]} picture"

Source = str | os.PathLike | bytes | PIL.Image.Image | np.ndarray

# Pillow's own bomb check only warns, and `warnings.catch_warnings` is not thread-safe.
_HEADER_LOCK = threading.Lock()


@dataclasses.dataclass(frozen=True)
class Limits:
    """What is refused before decoding."""

    bytes: int = 64 * 2**20
    pixels: int = 50_000_000
    aspect_ratio: float = 200.0
    frames: int = 1000


def open_image(source: Source, limits: Limits = Limits()) -> np.ndarray:
    """Open a picture as upright 8-bit RGB.

    Of an animation the first frame is taken; transparency is laid on white; EXIF
    orientation is applied; 16-bit grey keeps its high byte's precision.

    Args:
      source: a path, an encoded file as bytes, a PIL image, or uint8 [H, W, 3].
      limits: refused above these.

    Returns:
      [H, W, 3] uint8.

    Raises:
      BridgeError: missing, unreadable, truncated, too large, or not a picture.
    """
    if isinstance(source, np.ndarray):
        return _check_array(source, limits)
    if isinstance(source, PIL.Image.Image):
        return _decode(source, "image", limits)
    name = "image bytes" if isinstance(source, bytes) else str(source)
    data = source if isinstance(source, bytes) else _read(pathlib.Path(source), limits)
    if not data:
        raise BridgeError(f"{name}: the file is empty; {WAY_OUT}")
    if len(data) > limits.bytes:
        raise BridgeError(_too_many_bytes(name, len(data), limits))
    with _header(io.BytesIO(data), name) as image:
        return _decode(image, name, limits)


def size_of(source: Source, limits: Limits = Limits()) -> tuple[int, int]:
    """(height, width) that `open_image` will give, from the header alone.

    Raises:
      BridgeError: as `open_image`, but for damage behind the header.
    """
    if isinstance(source, np.ndarray):
        return _check_array(source, limits).shape[:2]
    if isinstance(source, PIL.Image.Image):
        return source.height, source.width
    if isinstance(source, bytes):
        name, file = "image bytes", io.BytesIO(source)
    else:
        name, file = str(source), _checked(pathlib.Path(source), limits).open("rb")
    with file, _header(file, name) as image:
        _check_size(name, image.height, image.width, limits)
        try:
            turned = _turned(image)
        except Exception as error:  # crafted metadata
            raise BridgeError(f"{name}: its orientation cannot be read") from error
        return (image.width, image.height) if turned else (image.height, image.width)


def smart_resize(
    height: int, width: int, factor: int, min_pixels: int, max_pixels: int
) -> tuple[int, int]:
    """Height and width that Qwen2-VL resizes a picture to.

    Both are multiples of `factor` (patch x merge), their product lies between the two
    limits where multiples allow it, and the aspect ratio changes as little as possible.

    Raises:
      BridgeError: one side is more than 200 times the other.
    """
    _check_aspect("image", height, width, Limits().aspect_ratio)
    # Python's round (half to even) is part of the published preprocessing.
    rows, columns = round(height / factor), round(width / factor)
    if rows * columns * factor**2 > max_pixels:
        shrink = math.sqrt(height * width / max_pixels)
        rows = max(1, math.floor(height / shrink / factor))
        columns = max(1, math.floor(width / shrink / factor))
    elif rows * columns * factor**2 < min_pixels:
        grow = math.sqrt(min_pixels / (height * width))
        rows = math.ceil(height * grow / factor)
        columns = math.ceil(width * grow / factor)
    return rows * factor, columns * factor


def resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize [H, W, 3] uint8 with Pillow's bicubic filter."""
    if image.shape[:2] == (height, width):
        return image
    picture = PIL.Image.fromarray(image)
    bicubic = PIL.Image.Resampling.BICUBIC
    return np.asarray(picture.resize((width, height), bicubic))


def centered(
    image: np.ndarray, height: int, width: int, color: tuple[int, int, int]
) -> np.ndarray:
    """[H, W, 3] in the middle of [height, width, 3] of one color, none of it cut."""
    if image.shape[:2] == (height, width):
        return image
    around = np.empty((height, width, 3), np.uint8)
    around[:] = color
    top, left = (height - image.shape[0]) // 2, (width - image.shape[1]) // 2
    around[top : top + image.shape[0], left : left + image.shape[1]] = image
    return around


def crop_square(image: np.ndarray, side: int) -> np.ndarray:
    """Scale the shorter side to `side` and cut out the middle: [side, side, 3]."""
    height, width = image.shape[:2]
    scale = side / min(height, width)
    tall, wide = (max(side, round(edge * scale)) for edge in (height, width))
    image = resize(image, tall, wide)
    top, left = (tall - side) // 2, (wide - side) // 2
    return image[top : top + side, left : left + side]


def to_vae_range(image: np.ndarray) -> np.ndarray:
    """uint8 0 .. 255 to float32 -1 .. 1."""
    return image.astype(np.float32) / np.float32(127.5) - np.float32(1)


def from_vae_range(image: np.ndarray) -> np.ndarray:
    """float -1 .. 1 to uint8 0 .. 255: clipped and rounded; exact inverse on uint8."""
    scaled = (np.asarray(image, np.float32) + 1) * np.float32(127.5)
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)


def _read(path: pathlib.Path, limits: Limits) -> bytes:
    try:
        return _checked(path, limits).read_bytes()
    except OSError as error:
        raise BridgeError(f"{path}: cannot be read ({error.strerror})") from error


def _checked(path: pathlib.Path, limits: Limits) -> pathlib.Path:
    """`path`, if it is a file of sane size."""
    try:
        if path.is_dir():
            raise BridgeError(f"{path}: is a directory; name a picture inside it")
        if not path.exists():
            raise BridgeError(f"{path}: no such file; check the path")
        if not path.is_file():
            raise BridgeError(f"{path}: is not a regular file; {WAY_OUT}")
        size = path.stat().st_size
        if size > limits.bytes:
            raise BridgeError(_too_many_bytes(str(path), size, limits))
        return path
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise BridgeError(f"{path}: cannot be read ({reason})") from error


def _too_many_bytes(name: str, size: int, limits: Limits) -> str:
    return (
        f"{name}: {size:,} bytes is more than the limit of {limits.bytes:,}; "
        "save it smaller"
    )


def _header(file: BinaryIO, name: str) -> PIL.Image.Image:
    try:
        with _HEADER_LOCK, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # our own limits decide, in `_decode`
            return PIL.Image.open(file, formats=FORMATS)
    except PIL.Image.DecompressionBombError as error:
        raise BridgeError(
            f"{name}: has too many pixels to open safely; scale it down first"
        ) from error
    except Exception as error:  # decoders raise anything on crafted headers
        raise BridgeError(f"{name}: is not a readable picture; {WAY_OUT}") from error


def _decode(image: PIL.Image.Image, name: str, limits: Limits) -> np.ndarray:
    _check_size(name, image.height, image.width, limits)
    try:
        frames = getattr(image, "n_frames", 1)
        if frames <= limits.frames:
            return np.asarray(_rgb(PIL.ImageOps.exif_transpose(image)))
    except Exception as error:  # as above: truncated and crafted data
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BridgeError(
            f"{name}: the picture is damaged or cut short ({reason}); save it again"
        ) from error
    raise BridgeError(
        f"{name}: {frames} frames is more than the limit of {limits.frames}; "
        "save one frame as a picture"
    )


def _turned(image: PIL.Image.Image) -> bool:
    """Whether its metadata lay it on its side.

    Of a PNG only what stands before the pixels is read: the rest would decode it.
    """
    if image.format == "PNG" and "exif" not in image.info:
        return False
    return image.getexif().get(PIL.ExifTags.Base.Orientation, 1) >= 5


def _rgb(image: PIL.Image.Image) -> PIL.Image.Image:
    """Any Pillow mode to RGB."""
    if image.mode.startswith("I") or image.mode == "F":
        image = _eight_bit(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = PIL.Image.new("RGBA", image.size, "white")
        image = PIL.Image.alpha_composite(white, image)
    return image.convert("RGB")


def _eight_bit(image: PIL.Image.Image) -> PIL.Image.Image:
    """16-bit grey (modes I;16 and I) to 8 bits; Pillow itself would clip at 255."""
    values = np.asarray(image)
    if image.mode == "F" or values.min() < 0 or values.max() > 65535:
        raise ValueError("its values are neither 8-bit nor 16-bit")
    return PIL.Image.fromarray(np.rint(values / 257.0).astype(np.uint8))


def _check_array(image: np.ndarray, limits: Limits) -> np.ndarray:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise BridgeError(
            f"image array: is {image.dtype} {list(image.shape)}; "
            "give uint8 [height, width, 3]"
        )
    _check_size("image array", image.shape[0], image.shape[1], limits)
    return image


def _check_size(name: str, height: int, width: int, limits: Limits) -> None:
    if height * width > limits.pixels:
        raise BridgeError(
            f"{name}: {width} x {height} is more than the limit of "
            f"{limits.pixels:,} pixels; scale it down first"
        )
    _check_aspect(name, height, width, limits.aspect_ratio)


def _check_aspect(name: str, height: int, width: int, limit: float) -> None:
    if min(height, width) < 1 or max(height, width) > limit * min(height, width):
        raise BridgeError(
            f"{name}: {width} x {height} is empty or more than {limit:g} times longer "
            "than wide; crop it"
        )
