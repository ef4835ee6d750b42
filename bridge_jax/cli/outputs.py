"""What commands write: checked before the work, whole or not at all, never over things.

Every function raises BridgeError for a place that cannot be written.
"""

import dataclasses
import importlib.util
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

from bridge_jax.core.errors import BridgeError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tiff")
_GAP = 4  # white pixels between the pictures of a grid


@dataclasses.dataclass(frozen=True)
class Pictures:
    """Where drawn pictures go: one file (a grid if they are several) or a folder.

    Attributes:
      path: a picture file to make, or an existing folder for 0000.png, 0001.png, ...
      count: how many pictures there will be.
      force: existing files may be replaced.
    """

    path: Path
    count: int
    force: bool = False

    def __post_init__(self):
        if not self.path.is_dir() and self.path.suffix.lower() not in SUFFIXES:
            raise BridgeError(
                f"{self.path} is neither a folder nor named as a picture; end it in"
                f" {', '.join(SUFFIXES)}"
            )
        for path in self._paths():
            check_file(path, self.force)

    def save(
        self, rows: Sequence[np.ndarray], stories: Sequence[Mapping[str, str]] = ()
    ) -> list[Path]:
        """Write rows of pictures uint8 [n, h, w, 3], and say where.

        Args:
          stories: how each row was made, which PNGs carry as text.

        Raises:
          BridgeError: the file system refuses.
        """
        stories = stories or [{}] * len(rows)
        told: list[Mapping[str, str]]
        if self.path.is_dir() or self.count == 1:
            pictures = [picture for row in rows for picture in row]
            told = [
                {**story, "picture": f"{i + 1} of {len(row)}"} if story else {}
                for row, story in zip(rows, stories, strict=True)
                for i in range(len(row))
            ]
        else:
            pictures, told = [grid(rows)], [together(stories)]
        paths = self._paths()
        for path, picture, story in zip(paths, pictures, told, strict=True):
            _write(path, picture, story)
        return paths

    def _paths(self) -> list[Path]:
        if self.path.is_dir():
            return [self.path / f"{i:04d}.png" for i in range(self.count)]
        return [self.path]


def grid(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Rows of pictures uint8 [n, h, w, 3] as one picture, white between them."""
    height = max(row.shape[1] for row in rows)
    width = max(row.shape[2] for row in rows)
    columns = max(len(row) for row in rows)
    shape = (len(rows) * (height + _GAP) - _GAP, columns * (width + _GAP) - _GAP, 3)
    sheet = np.full(shape, 255, np.uint8)
    for i, row in enumerate(rows):
        for j, picture in enumerate(row):
            top, left = i * (height + _GAP), j * (width + _GAP)
            sheet[top : top + picture.shape[0], left : left + picture.shape[1]] = (
                picture
            )
    return sheet


def check_file(path: Path, force: bool = False) -> None:
    """Refuse a file that is there already, or whose folder cannot take it."""
    if path.is_dir():
        raise BridgeError(f"{path} is a folder; name a file")
    if path.exists() and not force:
        raise BridgeError(f"{path} is there already; pass --force to replace it")
    if not path.parent.is_dir():
        raise BridgeError(f"there is no folder {path.parent}; make it first")
    _check_writable(path.parent)


def check_folder(
    path: Path, force: bool = False, holding: str = "", alone: bool = False
) -> None:
    """Refuse a folder to make or to fill that cannot be.

    Folders on the way are made later.

    Args:
      holding: a file it is to hold; if it does already, that needs `force`.
      alone: it may hold nothing but what comes with `holding`.
    """
    if path.exists() and not path.is_dir():
        raise BridgeError(f"{path} is a file; name a folder")
    if holding and (path / holding).exists() and not force:
        raise BridgeError(
            f"{path} holds {holding} already; pass --force to replace it, or name"
            " another folder"
        )
    foreign = path.is_dir() and any(path.iterdir()) and not (path / holding).exists()
    if alone and foreign:
        raise BridgeError(f"{path} holds other things; name a new or empty folder")
    nearest = path
    while not nearest.exists():
        nearest = nearest.parent
    if not nearest.is_dir():
        raise BridgeError(f"{nearest} is a file, so {path} cannot be made")
    _check_writable(nearest)


def _check_writable(folder: Path) -> None:
    if not os.access(folder, os.W_OK | os.X_OK):
        raise BridgeError(f"{folder} cannot be written to; check its permissions")


def check_plots() -> None:
    """Raises BridgeError where what plots need is not installed."""
    if importlib.util.find_spec("matplotlib") is None:
        raise BridgeError("plots need matplotlib: pip install -e '.[lab]'")


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file's bytes."""
    _replace(path, lambda staged: staged.write_bytes(content))


def write_text(path: Path, text: str) -> None:
    """Replace a file's text."""
    _replace(path, lambda staged: staged.write_text(text))


def together(stories: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """The story of a sheet of several rows: what differs, a line a row."""
    names = dict.fromkeys(name for story in stories for name in story)
    values = {
        name: [" ".join(story.get(name, "").split()) for story in stories]
        for name in names
    }
    return {
        name: found[0] if len(set(found)) == 1 else "\n".join(found)
        for name, found in values.items()
    }


def _write(path: Path, picture: np.ndarray, story: Mapping[str, str]) -> None:
    options = {}
    if path.suffix.lower() == ".png":
        options["pnginfo"] = chunks = PngImagePlugin.PngInfo()
        for name, value in story.items():
            chunks.add_text(name, value)
    _replace(path, lambda staged: Image.fromarray(picture).save(staged, **options))


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    """Write beside the target first, so that nothing half-written bears its name."""
    handle, name = tempfile.mkstemp(suffix=path.suffix, dir=path.parent)
    os.close(handle)
    staged = Path(name)
    try:
        write(staged)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(staged, 0o666 & ~umask)  # mkstemp lets nobody else read
        os.replace(staged, path)
    except OSError as error:
        raise BridgeError(f"cannot write {path}: {error.strerror or error}") from None
    finally:
        staged.unlink(missing_ok=True)
