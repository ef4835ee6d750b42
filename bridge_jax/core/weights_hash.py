"""One hash for all values of some parameters."""

import hashlib
from typing import Any

import numpy as np

from bridge_jax.core import runtime, trees

_WIDER = ("bfloat16", "float16")  # have all their values in float32, too


def of(params: Any, types: bool = True) -> str:
    """sha256 over the names, types and values of all parameters, one by one.

    With several processes all must call it.

    Args:
      types: whether types count. Without, bfloat16 and the same values in float32 are
        the same weights.
    """
    digest = hashlib.sha256()
    for path, leaf in sorted(trees.flatten(params).items()):
        array = runtime.whole(leaf)
        if not types and array.dtype.name in _WIDER:
            array = array.astype(np.float32)
        digest.update(f"{path} {array.dtype} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8))
    return digest.hexdigest()
