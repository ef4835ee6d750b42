"""A record's picture: the name of a file, or the file itself."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bridge_jax.data import fields, images
from bridge_jax.data.faults import Faults
from bridge_jax.data.sources import places

# Where tar files and data sets keep pictures that nobody named: by their suffix.
SUFFIXES = ("jpg", "jpeg", "png", "webp", "bmp", "gif", "tif", "tiff")


def read(
    value: Any, homes: Sequence[str | Path], where: str, found: Faults
) -> images.Source:
    """What `images.open_image` opens; b"" for what is no picture, which is a fault.

    Args:
      value: the name of a file in one of `homes`, its bytes, {"bytes", "path"} as
        Hugging Face's tables have it, or uint8 [H, W, 3].
    """
    if isinstance(value, Mapping):
        inside = value.get("bytes")
        value = inside if inside is not None else value.get("path")
    if isinstance(value, bytes):
        if not value:
            found.add(where, "the picture is empty")
        return value
    if isinstance(value, np.ndarray):
        return value
    away = [str(home) for home in homes if places.is_elsewhere(str(home))]
    if away and isinstance(value, str):
        return _fetched(value, away, where, found)
    return fields.picture(value, homes, where, found)


def _fetched(name: str, homes: Sequence[str], where: str, found: Faults) -> bytes:
    """The bytes of a file in the first of `homes` that has it."""
    for home in homes:
        path = places.below(home, name)
        if places.is_file(path):
            with places.opened(path) as file, places.told(path):
                return file.read(images.Limits().bytes + 1)
    found.add(where, f"there is no picture {name!r} in {' or '.join(homes)}")
    return b""
