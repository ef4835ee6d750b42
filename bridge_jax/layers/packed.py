"""Self-attention of packed sequences, by the name of a kernel.

    xla      scores in memory; every backend, and what the others are compared with
    splash   Pallas on TPU: no scores in memory (jax's splash attention)
    cudnn    cuDNN on GPU, for 16-bit types: no scores in memory
    auto     splash on TPU, cuDNN on a GPU that is there for what it takes, else xla

`sight` says once who sees whom, `attend` uses it in every layer. Where a layer's states
are wanted at some positions alone, `sight_at` says it for those, and the scores are few
enough to be in memory (`are_few`).
"""

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int, Shaped

from bridge_jax.core import hardware
from bridge_jax.core.errors import BridgeError
from bridge_jax.core.types import Array
from bridge_jax.layers import attention, splash

KERNELS = ("xla", "splash", "cudnn", "auto")


def problems(kernel: str) -> list[str]:
    """What is wrong with the name of a kernel, for a config's own list."""
    if kernel in KERNELS:
        return []
    return [f"attention {kernel!r} must be one of {', '.join(KERNELS)}"]


def sight(
    segments: Int[Array, "B T"], causal: bool, kernel: str
) -> Shaped[Array, "B ..."]:
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


# Scores of a head that other kernels than xla's need not be asked for: 1 MB.
_FEW = 1 << 18


def are_few(wanted: int, length: int, kernel: str) -> bool:
    """Whether `wanted` of a row's `length` positions are better read by themselves."""
    if wanted >= length:
        return False
    return _resolved(kernel) == "xla" or wanted * length <= _FEW


def sight_at(
    segments: Int[Array, "B T"], at: Int[Array, "B R"]
) -> Bool[Array, "B 1 R T"]:
    """Whom some positions see, of their sequence and not after themselves.

    Args:
      segments: [B, T] int, as in `sight`.
      at: [B, R] int, positions in T.
    """
    own = jnp.take_along_axis(segments, at, axis=1, mode="clip")[:, :, None]
    others = segments[:, None, :]
    before = at[:, :, None] >= jnp.arange(segments.shape[1])[None, None, :]
    return ((own == others) & (others != 0) & before)[:, None]


def attend(
    q: Float[Array, "B H T D"],
    k: Float[Array, "B K S D"],
    v: Float[Array, "B K S D"],
    seen: Shaped[Array, "#B ..."] | None = None,
    *,
    causal: bool = False,
    kernel: str = "xla",
) -> Float[Array, "B H T D"]:
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
            return _cudnn(q, k, v, seen, causal)
        case "auto" if _suits_cudnn(q):
            return _cudnn(q, k, v, seen, causal)
    return attention.attend(q, k, v, mask=seen, causal=causal and seen is not None)


def _resolved(kernel: str) -> str:
    """Without "auto", but where a GPU's kernel is chosen by what it is given."""
    if kernel != "auto" or hardware.has_cudnn():
        return kernel
    return "splash" if hardware.platform() == "tpu" else "xla"


def _suits_cudnn(q: jax.Array) -> bool:
    """Whether cuDNN has kernels for it, gradients included."""
    length, width = q.shape[2:]
    return q.dtype in _HALF and width % 8 == 0 and width <= 128 and length % 2 == 0


_HALF = (jnp.bfloat16, jnp.float16)


def _cudnn(q, k, v, seen, causal: bool):
    if q.dtype not in _HALF:
        raise BridgeError(
            f'attention "cudnn" needs dtype bfloat16 or float16, not {q.dtype}'
        )
    if k.shape[2] % 2:
        k, v, seen = _one_unseen(k, v, seen, q.shape[2])
    q, k, v = (x.transpose(0, 2, 1, 3) for x in (q, k, v))
    out = jax.nn.dot_product_attention(
        q,
        k,
        v,
        mask=seen,
        # `seen` says so too; told, the kernel leaves the upper half out.
        is_causal=causal and seen is not None,
        implementation="cudnn",
    )
    return out.transpose(0, 2, 1, 3)


def _one_unseen(k, v, seen, length: int):
    """One key more, which nobody sees: cuDNN has gradients for even numbers alone."""
    widths = (0, 0), (0, 0), (0, 1), (0, 0)
    if seen is None:
        seen = jnp.ones((1, 1, length, k.shape[2]), bool)
    seen = jnp.pad(seen, ((0, 0), (0, 0), (0, 0), (0, 1)))
    return jnp.pad(k, widths), jnp.pad(v, widths), seen
