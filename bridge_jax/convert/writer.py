"""Safetensors files written tensor by tensor: no more than one is in memory.

The format (https://huggingface.co/docs/safetensors): 8 bytes of header length, a JSON
header {name: {dtype, shape, data_offsets}}, the bytes of all tensors in that order.
"""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import ml_dtypes
import numpy as np

PARTIAL = ".partial"
BITS = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "BF16": ml_dtypes.bfloat16,
    "F8_E4M3": ml_dtypes.float8_e4m3fn,
    "F8_E5M2": ml_dtypes.float8_e5m2,
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "I8": np.int8,
    "U64": np.uint64,
    "U32": np.uint32,
    "U16": np.uint16,
    "U8": np.uint8,
    "BOOL": np.bool_,
}
Spec = tuple[str, tuple[int, ...]]  # dtype as safetensors spells it, shape


def nbytes(spec: Spec) -> int:
    """Size of a tensor on disk."""
    return math.prod(spec[1]) * np.dtype(BITS[spec[0]]).itemsize


class Writer:
    """One file, under a name that nothing reads until `finish` renames it.

    Tensors come in the order of `specs`, which is told beforehand.
    """

    def __init__(
        self, path: Path, specs: Mapping[str, Spec], metadata: Mapping[str, str]
    ):
        self.path, self.specs = path, dict(specs)
        self._staged = path.with_name(path.name + PARTIAL)
        self._left = list(specs)
        self._file = self._staged.open("wb")
        self._file.write(_header(self.specs, metadata))

    def write(self, name: str, array: np.ndarray) -> None:
        """The next tensor. Raises ValueError if it is not the one that was told."""
        dtype, shape = self.specs[name]
        if not self._left or self._left[0] != name:
            raise ValueError(f"{name} comes out of order")
        if array.shape != shape or array.dtype != np.dtype(BITS[dtype]):
            raise ValueError(
                f"{name} is {array.dtype}{array.shape}, not {dtype}{shape}"
            )
        self._left.pop(0)
        flat = np.ascontiguousarray(array).reshape(-1)
        self._file.write(flat.view(np.uint8).data)

    def finish(self) -> None:
        """To the disk; the file keeps its staged name until `rename`."""
        if self._left:
            raise ValueError(f"{len(self._left)} tensors were not written")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def rename(self) -> None:
        """Under its own name, at once."""
        os.replace(self._staged, self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            return
        self._file.close()
        self._staged.unlink(missing_ok=True)


def _header(specs: Mapping[str, Spec], metadata: Mapping[str, str]) -> bytes:
    entries: dict[str, object] = {"__metadata__": dict(metadata)}
    start = 0
    for name, (dtype, shape) in specs.items():
        stop = start + nbytes((dtype, shape))
        entries[name] = {
            "dtype": dtype,
            "shape": list(shape),
            "data_offsets": [start, stop],
        }
        start = stop
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the data begins at a multiple of eight
    return len(text).to_bytes(8, "little") + text
