"""Files of an evaluation: JSON lines and PNG pictures, read back as written."""

import json
import os
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import images, shapes_world
from bridge_jax.data.shapes import palette


def write_json(path: Path, value: Any) -> None:
    """Indented JSON; an interrupted write changes nothing."""
    # A name of its own: several processes may write the same file.
    staged = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}.partial")
    staged.write_text(json.dumps(value, indent=2) + "\n")
    os.replace(staged, path)


def read_json(path: Path) -> Any:
    """Undo `write_json`. Raises BridgeError if the file cannot be read."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise BridgeError(f"cannot read {path}: {error}") from None


def write_lines(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """One JSON object a line; an interrupted write changes nothing."""
    staged = path.with_name(path.name + ".partial")
    staged.write_text("".join(json.dumps(record) + "\n" for record in records))
    os.replace(staged, path)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Undo `write_lines`. Raises BridgeError if the file cannot be read."""
    try:
        return [json.loads(line) for line in path.read_text().splitlines()]
    except (OSError, ValueError) as error:
        raise BridgeError(f"cannot read {path}: {error}") from None


def write_picture(path: Path, picture: np.ndarray) -> None:
    """uint8 [H, W, 3] as PNG; its folder is made, an interrupted write leaves none."""
    staged = path.with_name(path.name + ".partial")
    staged.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(picture, np.uint8)).save(staged, "PNG")
    os.replace(staged, path)


def read_shapes(path: Path) -> shapes_world.Scene:
    """The scene that a picture shows, whatever its size.

    Raises:
      BridgeError: the file is not a readable picture.
    """
    square = images.crop_square(images.open_image(path), palette.IMAGE_SIZE)
    return shapes_world.read_scene(square).scene


def numbered(folder: Path) -> list[Path]:
    """The subfolders 00000, 00001, ... in order.

    Raises:
      BridgeError: there are none.
    """
    found = sorted(path for path in folder.glob("[0-9]*") if path.is_dir())
    if not found:
        raise BridgeError(f"{folder} holds no numbered folders (00000, ...) to score")
    return found


def means(groups: Iterable[tuple[str, bool | float]]) -> dict[str, float]:
    """Mean value of each name, names in order of appearance."""
    values: dict[str, list[float]] = {}
    for name, value in groups:
        values.setdefault(name, []).append(float(value))
    return {name: sum(found) / len(found) for name, found in values.items()}
