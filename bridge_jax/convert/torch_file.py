"""State dicts of torch.save: read without unpickling anything but tensors.

Needs torch, an extra: `pip install 'bridge_jax[parity]'`.
"""

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import ml_dtypes
import numpy as np

from bridge_jax.convert import writer
from bridge_jax.core.errors import BridgeError

# Before it, weights_only did not keep code out (CVE-2025-32434).
SAFE_TORCH = (2, 6)
NESTED = ("module", "state_dict", "model_state_dict")
_NAMES = {
    "torch.float64": "F64",
    "torch.float32": "F32",
    "torch.float16": "F16",
    "torch.bfloat16": "BF16",
    "torch.int64": "I64",
    "torch.int32": "I32",
}


@dataclasses.dataclass(frozen=True)
class TorchFile(Mapping):
    """Name -> array of a state dict whose bytes stay on disk until they are read.

    Attributes as those of `tensors.Tensors`, and

      beside: what else the file holds where the tensors are not at its top.
    """

    state: Mapping[str, Any] = dataclasses.field(repr=False)
    shapes: Mapping[str, tuple[int, ...]]
    dtypes: Mapping[str, str]
    beside: Mapping[str, Any] = dataclasses.field(default_factory=dict, repr=False)

    def __getitem__(self, name: str) -> np.ndarray:
        import torch

        tensor = self.state[name].detach().contiguous()
        if tensor.dtype == torch.bfloat16:
            return tensor.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
        return tensor.numpy()

    def __iter__(self) -> Iterator[str]:
        return iter(self.shapes)

    def __len__(self) -> int:
        return len(self.shapes)


def open_file(path: Path) -> TorchFile:
    """A file of named tensors, at its top or under one of `NESTED`.

    Raises:
      BridgeError: no torch, an old one, or a file that is not that.
    """
    torch = _torch()
    if not path.is_file():
        raise BridgeError(f"no weights: {path} does not exist")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (
        RuntimeError,
        OSError,
        ValueError,
        KeyError,
        UnpicklingError,
    ) as error:
        why = str(error).strip().splitlines()[0][:200] if str(error).strip() else error
        raise BridgeError(f"{path} is no file of tensors alone: {why}") from None
    beside: dict[str, Any] = {}
    for key in NESTED:
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            beside |= {name: value for name, value in state.items() if name != key}
            state = state[key]
    if not isinstance(state, dict) or not state:
        raise BridgeError(f"{path} holds no named tensors")
    odd = [str(n) for n, t in state.items() if not isinstance(t, torch.Tensor)]
    odd += [
        str(n) for n, t in state.items() if str(getattr(t, "dtype", "")) not in _NAMES
    ]
    if odd:
        raise BridgeError(f"{path}: {', '.join(sorted(set(odd))[:5])} are no tensors")
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    dtypes = {name: _NAMES[str(tensor.dtype)] for name, tensor in state.items()}
    return TorchFile(state, shapes, dtypes, beside)


def find(source: Path, names: Sequence[str]) -> Path:
    """`source` if it is a file, or the first of `names` in that folder.

    Raises:
      BridgeError: none of them is there.
    """
    if source.is_file():
        return source
    there = [source / name for name in names if (source / name).is_file()]
    if not there:
        raise BridgeError(f"no weights: {source} has none of {', '.join(names)}")
    return there[0]


def save(path: Path, state: Mapping[str, Any]) -> None:
    """Arrays, texts and numbers by name, nested or not, as torch.save writes them.

    An interrupted write leaves nothing under its name.
    """
    torch = _torch()
    staged = path.with_name(path.name + writer.PARTIAL)
    torch.save(_of_torch(state), staged)
    os.replace(staged, path)


def _of_torch(value: Any) -> Any:
    import torch

    if isinstance(value, Mapping):
        return {name: _of_torch(inner) for name, inner in value.items()}
    if not isinstance(value, np.ndarray):
        return value
    flat = np.ascontiguousarray(value).reshape(value.shape)
    if flat.dtype == ml_dtypes.bfloat16:
        return torch.from_numpy(flat.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(flat)


def _torch() -> Any:
    try:
        import torch
    except ImportError:
        raise BridgeError(
            "this layout is a torch file: pip install 'bridge_jax[parity]'"
        ) from None
    version = tuple(int(part) for part in torch.__version__.split(".")[:2])
    if version < SAFE_TORCH:
        raise BridgeError(
            f"torch {torch.__version__} cannot read foreign files safely; install 2.6"
            " or newer"
        )
    return torch
