"""State dicts of torch.save: read without unpickling anything but tensors.

Needs torch, an extra: `pip install 'bridge_jax[parity]'`.
"""

import dataclasses
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import ml_dtypes
import numpy as np

from bridge_jax.convert import writer
from bridge_jax.core.errors import BridgeError

# Before it, weights_only did not keep code out (CVE-2025-32434).
SAFE_TORCH = (2, 6)
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

    Attributes as those of `tensors.Tensors`.
    """

    state: Mapping[str, Any] = dataclasses.field(repr=False)
    shapes: Mapping[str, tuple[int, ...]]
    dtypes: Mapping[str, str]

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
    """A file of named tensors, at its top or under "module" or "state_dict".

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
    for key in ("module", "state_dict"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
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
    return TorchFile(state, shapes, dtypes)


def save(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """A plain state dict; an interrupted write leaves nothing under its name."""
    torch = _torch()
    state = {}
    for name, array in arrays.items():
        flat = np.ascontiguousarray(array).reshape(array.shape)
        if flat.dtype == ml_dtypes.bfloat16:
            state[name] = torch.from_numpy(flat.view(np.int16)).view(torch.bfloat16)
        else:
            state[name] = torch.from_numpy(flat)
    staged = path.with_name(path.name + writer.PARTIAL)
    torch.save(state, staged)
    os.replace(staged, path)


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
