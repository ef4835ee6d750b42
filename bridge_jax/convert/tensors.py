"""Tensors of safetensors files, read one by one, from files that nobody vouches for.

The library checks headers (size, types, offsets inside the file, without overlap). Here
stands what it cannot know: an index that points elsewhere, a link out of the folder, a
tensor that two files claim.
"""

import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors

from bridge_jax.core.errors import BridgeError

INDEX = ".safetensors.index.json"
MOST_INDEX_BYTES = 64 << 20
_SHOWN = 5


@dataclasses.dataclass(frozen=True)
class Tensors(Mapping):
    """Name -> array, read when asked for.

    Attributes:
      files: name -> the file that holds it.
      shapes: name -> shape.
      dtypes: name -> as safetensors spells it, "BF16".
    """

    files: Mapping[str, Path]
    shapes: Mapping[str, tuple[int, ...]]
    dtypes: Mapping[str, str]

    def __getitem__(self, name: str) -> np.ndarray:
        with safetensors.safe_open(self.files[name], framework="np") as file:
            return file.get_tensor(name)

    def slice(self, name: str, index: tuple[slice, ...]) -> np.ndarray:
        """A part of a tensor; only its bytes are read."""
        with safetensors.safe_open(self.files[name], framework="np") as file:
            return file.get_slice(name)[index]

    def __iter__(self) -> Iterator[str]:
        return iter(self.files)

    def __len__(self) -> int:
        return len(self.files)


def open_folder(folder: Path, base: str = "model") -> Tensors:
    """The tensors of BASE.safetensors, or of the files that its index names.

    Args:
      folder: as on disk, or one such file.
      base: "model", or "diffusion_pytorch_model" in diffusers folders.

    Raises:
      BridgeError: nothing there, or every file that is not what it says.
    """
    if folder.is_file():
        return _open([folder])
    if not folder.is_dir():
        raise BridgeError(f"no weights: {folder} does not exist")
    index, single = folder / (base + INDEX), folder / f"{base}.safetensors"
    if index.is_file():
        return _open_indexed(folder, index)
    if not single.is_file():
        there = sorted(path.name for path in folder.glob("*.safetensors"))
        raise BridgeError(
            f"{folder} has neither {single.name} nor {index.name}"
            + (f", but {', '.join(there[:_SHOWN])}" if there else "")
        )
    return _open([_inside(folder, single.name)])


def _open_indexed(folder: Path, index: Path) -> Tensors:
    told = _weight_map(index)
    names = list(dict.fromkeys(told.values()))
    found = _open([_inside(folder, name) for name in names])
    wrong = [
        f"{tensor} is not in {file}"
        for tensor, file in told.items()
        if tensor not in found.files or found.files[tensor].name != file
    ]
    wrong += [f"{name} is in no index" for name in found if name not in told]
    if wrong:
        more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise BridgeError(f"{index}: {'; '.join(wrong[:_SHOWN])}{more}")
    return found


def _weight_map(index: Path) -> dict[str, str]:
    try:
        if index.stat().st_size > MOST_INDEX_BYTES:
            raise BridgeError(f"{index} is larger than any index")
        told = json.loads(index.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BridgeError(f"cannot read {index}: {error}") from None
    names = told.get("weight_map") if isinstance(told, dict) else None
    if not isinstance(names, dict) or not names:
        raise BridgeError(f"{index} has no weight_map")
    if not all(isinstance(name, str) for name in names.values()):
        raise BridgeError(f"{index}: weight_map must name files")
    return names


def _inside(folder: Path, name: str) -> Path:
    """folder/name, if that is a file of the folder and no way out of it.

    A Hugging Face cache links its snapshots to blobs two folders up: that one is in.
    """
    if Path(name).name != name or not name.endswith(".safetensors") or "\0" in name:
        raise BridgeError(f"{folder}: {name!r} is no file name of a shard")
    home = folder.resolve()
    if home.parent.name == "snapshots":
        home = home.parent.parent
    path = folder / name
    if not path.is_file():
        raise BridgeError(f"{folder}: shard {name} is missing")
    if not path.resolve().is_relative_to(home):
        raise BridgeError(f"{path} links out of its folder; copy the file instead")
    return path


def _open(paths: list[Path]) -> Tensors:
    files: dict[str, Path] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    dtypes: dict[str, str] = {}
    problems = []
    for path in paths:
        try:
            with safetensors.safe_open(path, framework="np") as file:
                for name in file.keys():  # noqa: SIM118
                    if name in files:
                        problems.append(f"{name} is in {files[name].name} as well")
                    part = file.get_slice(name)
                    files[name] = path
                    shapes[name] = tuple(part.get_shape())
                    dtypes[name] = part.get_dtype()
        except (safetensors.SafetensorError, OSError) as error:
            problems.append(f"{path} is not a whole safetensors file: {error}")
    if problems:
        raise BridgeError("; ".join(problems[:_SHOWN]))
    return Tensors(files, shapes, dtypes)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object. Raises BridgeError if there is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BridgeError(f"cannot read {path}: {error}") from None
    if not isinstance(found, dict):
        raise BridgeError(f"{path} is not a JSON object")
    return found
