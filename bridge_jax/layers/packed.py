"""Self-attention of packed sequences, by the name of a kernel.

    xla      scores in memory; every backend, and what the others are compared with
    splash   Pallas on TPU: no scores in memory (jax's splash attention)
    cudnn    cuDNN on GPU, for 16-bit types
    auto     splash on TPU, else xla

`sight` says once who sees whom, `attend` uses it in every layer.
"""

import jax
import jax.numpy as jnp

from bridge_jax.core import hardware
from bridge_jax.core.errors import BridgeError
from bridge_jax.layers import attention, splash

KERNELS = ("xla", "splash", "cudnn", "auto")


def problems(kernel: str) -> list[str]:
    """What is wrong with the name of a kernel, for a config's own list."""
    if kernel in KERNELS:
        return []
    return [f"attention {kernel!r} must be one of {', '.join(KERNELS)}"]


def sight(segments: jax.Array, causal: bool, kernel: str) -> jax.Array:
    """Who sees whom, in the form that the kernel takes.

    Args:
      segments: [B, T] int, number of the sequence within the row; 0 is padding.
      causal: a position sees earlier ones and itself, not later ones.

    Returns:
      `segments` for splash, otherwise bool [B, 1, T, T]: same sequence, no padding.
    """
    if _resolved(kernel) == "splash":
        return segments
    same = segments[:, :, None] == segments[:, None, :]
    seen = same & (segments != 0)[:, None, :]
    if causal:
        index = jnp.arange(segments.shape[1])
        seen = seen & (index[:, None] >= index[None, :])[None]
    return seen[:, None]


def attend(
    q: jax.Array,
    k: jax.Array,
    v: jax.Array,
    seen: jax.Array | None = None,
    *,
    causal: bool = False,
    kernel: str = "xla",
) -> jax.Array:
    """softmax(q k^T / sqrt(D)) v.

    Args:
      q: [B, H, T, D].
      k, v: [B, K, T, D] with K dividing H (grouped-query attention).
      seen: from `sight`, with the same `causal` and `kernel`; None for everything,
        where T of q and of k may differ and nothing is causal.

    Returns:
      [B, H, T, D] in q's dtype; at padding, something finite.

    Raises:
      BridgeError: cuDNN with another dtype than it has kernels for.
    """
    match _resolved(kernel):
        case "splash":
            return splash.attend(q, k, v, seen, causal=causal)
        case "cudnn":
            return _cudnn(q, k, v, seen)
    return attention.attend(q, k, v, mask=seen)


def _resolved(kernel: str) -> str:
    if kernel == "auto":
        return "splash" if hardware.platform() == "tpu" else "xla"
    return kernel


def _cudnn(q, k, v, seen):
    if q.dtype not in (jnp.bfloat16, jnp.float16):
        raise BridgeError(
            f'attention "cudnn" needs dtype bfloat16 or float16, not {q.dtype}'
        )
    q, k, v = (x.transpose(0, 2, 1, 3) for x in (q, k, v))
    out = jax.nn.dot_product_attention(q, k, v, mask=seen, implementation="cudnn")
    return out.transpose(0, 2, 1, 3)
