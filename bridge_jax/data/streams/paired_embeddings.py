"""Paired embeddings of texts and pictures, as a frozen model made them.

A file is NAME.npz with the arrays `text` [N, D] and `image` [N, D'], or NAME.json, a
list of N objects that hold one list of numbers for each. The rows are read in another
order in every epoch.
"""

import dataclasses
import functools
import json
from pathlib import Path
from typing import Any

import numpy as np

from bridge_jax.core.errors import BridgeError
from bridge_jax.data.records import epochs

_SHOWN = 5


@dataclasses.dataclass(frozen=True)
class Stream:
    """Row: text [D] and image [D'], float32.

    Attributes:
      path: the file.
      text_key, image_key: names of the two arrays, or of each object's two lists.
      normalise: whether rows are brought to length 1.
    """

    processor: Any
    path: str = ""
    seed: int = 0
    text_key: str = "text"
    image_key: str = "image"
    normalise: bool = False

    def __call__(self, index: int) -> dict[str, np.ndarray]:
        arrays = _read(self.path, self.text_key, self.image_key)
        row = epochs.record(self.seed, index, len(arrays[0]))
        text, image = (array[row] for array in arrays)
        if self.normalise:
            text, image = (
                one / max(np.linalg.norm(one), 1e-12) for one in (text, image)
            )
        return {"text": text, "image": image}


@functools.lru_cache(4)
def _read(path: str, *keys: str) -> tuple[np.ndarray, np.ndarray]:
    """Both arrays, float32 and finite; raises BridgeError for anything else."""
    file = Path(path)
    if not path or not file.is_file():
        raise BridgeError(
            f"paired embeddings: no file {path!r}; give --config.streams.main.path=FILE"
        )
    try:
        if file.suffix == ".npz":
            with np.load(file, allow_pickle=False) as found:
                arrays = tuple(np.asarray(found[key], np.float32) for key in keys)
        else:
            rows = json.loads(file.read_text())
            arrays = tuple(
                np.asarray([row[key] for row in rows], np.float32) for key in keys
            )
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BridgeError(
            f"paired embeddings: {path} does not hold two arrays of numbers named"
            f" {' and '.join(keys)} ({type(error).__name__}: {error})"
        ) from None
    _check(path, keys, arrays)
    return arrays


def _check(path: str, keys: tuple[str, ...], arrays: tuple[np.ndarray, ...]) -> None:
    text, image = arrays
    problems = [
        f"{key} has the shape {list(array.shape)}, not [rows, width]"
        for key, array in zip(keys, arrays, strict=True)
        if array.ndim != 2 or not array.size
    ]
    if not problems and len(text) != len(image):
        problems.append(f"{len(text)} texts and {len(image)} pictures")
    if not problems:
        rows = np.flatnonzero(~(np.isfinite(text).all(1) & np.isfinite(image).all(1)))
        if rows.size:
            shown = ", ".join(map(str, rows[:_SHOWN]))
            problems.append(f"{rows.size} row(s) are not finite, such as {shown}")
    if problems:
        raise BridgeError(f"paired embeddings: {path}: {'; '.join(problems)}")
