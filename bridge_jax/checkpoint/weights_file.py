"""A parameter tree as model.safetensors + config.json: small, lazy, loads anywhere.

Tensor names are the `/`-joined paths. Five lines load it without us:
`safetensors.numpy.load_file`, then split the names.

A folder may hold only what differs from a folder inside it: with `"base": "stage0"` in
its config.json, tensors and parts it lacks are those of its folder stage0.
"""

import dataclasses
import functools
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import ml_dtypes
import numpy as np
import safetensors
from safetensors.numpy import save_file

from bridge_jax.core import config as config_lib
from bridge_jax.core import runtime, trees
from bridge_jax.core.errors import BridgeError
from bridge_jax.core.types import Params

WEIGHTS, CONFIG = "model.safetensors", "config.json"
_SHOWN = 10


@dataclasses.dataclass(frozen=True)
class WeightsFile(Mapping):
    """Path -> numpy array of a file, read when asked for. `shapes` reads no array.

    Attributes:
      path: the file.
      shapes: of every tensor, those of the base included.
      base: where tensors are that the file lacks.
    """

    path: Path
    shapes: Mapping[str, tuple[int, ...]]
    base: "WeightsFile | None" = None

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self.shapes:
            raise KeyError(name)
        if self.base is None or name in self._own:
            return self._file.get_tensor(name)
        return self.base[name]

    @functools.cached_property
    def _file(self) -> Any:
        """Opened once: to open it is to read what it says of all its tensors."""
        return safetensors.safe_open(self.path, framework="np")

    @functools.cached_property
    def _own(self) -> frozenset[str]:
        return frozenset(self._file.keys())

    def __iter__(self) -> Iterator[str]:
        return iter(self.shapes)

    def __len__(self) -> int:
        return len(self.shapes)


def save(
    folder: str | Path,
    params: Params,
    config: Mapping[str, Any],
    dtype: str | None = None,
) -> None:
    """Write `params` and the model config; an interrupted write changes nothing.

    With several processes all call it, and the first one writes.

    Args:
      folder: made if missing.
      params: nested dict of arrays, fetched to the host one by one.
      config: what rebuilds the model, as JSON's types or dataclasses.
      dtype: "bfloat16" stores floating tensors in half the size; None keeps them.
    """
    folder = Path(folder)
    writes = jax.process_index() == 0
    tensors = {}
    for path, leaf in trees.flatten(params).items():
        array = runtime.whole(leaf)
        if not writes:
            continue
        if dtype == "bfloat16" and array.dtype == np.float32:
            array = array.astype(ml_dtypes.bfloat16)
        tensors[path] = np.ascontiguousarray(array)
    if not writes:
        return
    folder.mkdir(parents=True, exist_ok=True)
    staged = folder / (WEIGHTS + ".partial")
    save_file(tensors, staged, metadata={"format": "flax"})
    text = folder / (CONFIG + ".partial")
    text.write_text(config_lib.to_json(config) + "\n")
    os.replace(staged, folder / WEIGHTS)
    os.replace(text, folder / CONFIG)


def open_file(path: str | Path) -> WeightsFile:
    """The tensors of a folder written by `save`, or of one .safetensors file.

    Raises:
      BridgeError: missing, empty, truncated or not a safetensors file.
    """
    path = Path(path)
    file = path / WEIGHTS if path.is_dir() else path
    if not file.is_file():
        raise BridgeError(f"no weights: {file} does not exist")
    try:
        with safetensors.safe_open(file, framework="np") as tensors:
            names = tensors.keys()
            shapes = {n: tuple(tensors.get_slice(n).get_shape()) for n in names}
    except (safetensors.SafetensorError, OSError) as error:
        raise BridgeError(f"{file} is not a whole safetensors file: {error}") from None
    inside = _base(path) if path.is_dir() else None
    if inside is None:
        return WeightsFile(file, shapes)
    base = open_file(inside)
    return WeightsFile(file, {**base.shapes, **shapes}, base)


def read_config(folder: str | Path) -> dict[str, Any]:
    """The model config beside the weights, completed by its base's.

    Raises:
      BridgeError: it is unreadable.
    """
    config = read_own_config(folder)
    inside = _base(Path(folder))
    if inside is None:
        return config
    base = read_config(inside)
    own = {name: value for name, value in config.items() if name != "base"}
    return base | own | {"model": base.get("model", {}) | config.get("model", {})}


def read_own_config(folder: str | Path) -> dict[str, Any]:
    """The config beside the weights as it stands, its base's left out.

    Raises:
      BridgeError: it is unreadable.
    """
    return _read_json(Path(folder) / CONFIG)


def _base(folder: Path) -> Path | None:
    """The folder inside this one that completes it, if config.json names one."""
    if not (folder / CONFIG).is_file():
        return None
    base = _read_json(folder / CONFIG).get("base")
    if base is None:
        return None
    # Nothing else: a file from a stranger must not point anywhere it likes, and what
    # only ever goes down cannot go in circles.
    if not isinstance(base, str) or not re.fullmatch(r"[\w-]+", base):
        raise BridgeError(
            f"{folder / CONFIG}: base is {base!r}; it may only name a folder inside"
        )
    inside = folder / base
    if inside.resolve() != folder.resolve() / base:
        raise BridgeError(f"{inside} links out of its folder; copy it instead")
    return inside


def _read_json(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise BridgeError(f"cannot read {file}: {error}") from None
    if not isinstance(found, dict):
        raise BridgeError(f"{file} is not a JSON object")
    return found


def load(
    path: str | Path,
    template: Params | None = None,
    *,
    prefix: str = "",
    dtype: str | None = "float32",
) -> Params:
    """Read a tree as numpy arrays.

    Args:
      path: see `open_file`.
      template: nested dict of arrays or ShapeDtypeStruct that must be matched.
      prefix: read only what stands below "prefix/", without that prefix.
      dtype: what floating tensors become (bf16 files too); None keeps them.

    Raises:
      BridgeError: all missing, unused and misshapen tensors at once.
    """
    file = open_file(path)
    start = prefix.rstrip("/") + "/" if prefix else ""
    names = {name.removeprefix(start): name for name in file if name.startswith(start)}
    found = {short: file.shapes[name] for short, name in names.items()}
    if not found:
        raise BridgeError(f"{file.path} holds no tensor below {prefix!r}")
    if template is not None:
        wanted = {p: tuple(a.shape) for p, a in trees.flatten(template).items()}
        problems = trees.difference(wanted, found)
        if problems:
            raise BridgeError(
                f"{file.path} does not fit ({len(problems)} problem(s)):"
                f" {'; '.join(problems[:_SHOWN])}"
            )
    flat = {short: as_dtype(file[name], dtype) for short, name in names.items()}
    return trees.unflatten(flat)


def as_dtype(array: np.ndarray, dtype: str | None) -> np.ndarray:
    """Floating arrays as `dtype`; integers and None leave the array as it is."""
    floating = np.issubdtype(array.dtype, np.floating) or (
        array.dtype == ml_dtypes.bfloat16
    )
    return array.astype(np.dtype(dtype)) if dtype and floating else array
