"""Named arrays as the bytes of one record, with a checksum.

8 bytes    XXH3-64 of the record's name and of all that follows
4 bytes    n, little endian
n bytes    JSON [[array, dtype, shape], ...]
the rest   the arrays' bytes, one after another, in C order
"""

import json
import struct
from collections.abc import Mapping

import ml_dtypes  # noqa: F401  (numpy knows "bfloat16" by it)
import numpy as np
import xxhash

_SUM, _LENGTH = 8, struct.Struct("<I")


class Damaged(ValueError):
    """These are not the bytes that were written under this name."""


def pack(name: bytes, arrays: Mapping[str, np.ndarray]) -> bytes:
    """The record of that name; `unpack` undoes it."""
    head = [[key, array.dtype.name, list(array.shape)] for key, array in arrays.items()]
    header = json.dumps(head).encode()
    data = [np.ascontiguousarray(array).tobytes() for array in arrays.values()]
    body = b"".join([_LENGTH.pack(len(header)), header, *data])
    return _checksum(name, body) + body


def unpack(name: bytes, record: bytes) -> dict[str, np.ndarray]:
    """The arrays of a record, read-only.

    Raises:
      Damaged: a bit is not as it was, or the record is another's.
    """
    body = memoryview(record)[_SUM:]
    if record[:_SUM] != _checksum(name, body):
        raise Damaged("its checksum does not match")
    (length,) = _LENGTH.unpack_from(body)
    start = _LENGTH.size + length
    arrays = {}
    for key, kind, shape in json.loads(bytes(body[_LENGTH.size : start])):
        dtype, count = np.dtype(kind), int(np.prod(shape))
        arrays[key] = np.frombuffer(body, dtype, count, start).reshape(shape)
        start += count * dtype.itemsize
    return arrays


def letters(text: str) -> np.ndarray:
    """A text as an array; `text` undoes it."""
    return np.frombuffer(text.encode(), np.uint8)


def text(array: np.ndarray) -> str:
    return array.tobytes().decode()


def _checksum(name: bytes, body: bytes | memoryview) -> bytes:
    digest = xxhash.xxh3_64(name)
    digest.update(body)
    return digest.digest()
