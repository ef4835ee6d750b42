"""Axis legend and array aliases shared by every room.

Letters in shapes and einsums:

    B batch            T text positions        S source (memory, key) positions
    P image patches    N merged visual tokens  L aligner positions (learned queries)
    D model width      H heads                 K key/value heads
    h, w, C            height, width, channels of an image or latent (NHWC everywhere)
    V vocabulary       E embedding (retrieval, shared latent)
    I, O               width before and after, where a layer changes it
    *B, *S             axes of any number

Other letters are a function's own. Signatures say shapes in jaxtyping's words,
`Float[Array, "B T D"]`, which nothing checks but the tests.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array | np.ndarray  # traced, on devices, or still on the host
Params = dict[str, Any]  # nested dict of arrays, as flax linen makes it

_DTYPES = {
    "float32": jnp.float32,
    "bfloat16": jnp.bfloat16,
    "float16": jnp.float16,
}


def dtype(name: str) -> np.dtype:
    """The jax dtype of a config's name. Raises KeyError for an unknown name."""
    return jnp.dtype(_DTYPES[name])
