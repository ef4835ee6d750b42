"""Splash attention on TPU: blocks of scores that never leave the chip.

jax's own Pallas kernels, given what they ask for: lengths and widths in whole tiles,
scaled queries, and each device its own rows and heads. Off TPU they are interpreted,
slowly, for tests.
"""

import functools
import math

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.experimental.pallas.ops.tpu.splash_attention import (
    splash_attention_kernel as kernels,
)
from jax.experimental.pallas.ops.tpu.splash_attention import (
    splash_attention_mask as masks,
)
from jaxtyping import Float, Int

from bridge_jax.core import hardware
from bridge_jax.core.types import Array

TILE = 128
BLOCKS = (512, 384, 256, 128)  # the largest that divides a length is taken
_NOBODY = -1  # the segment of keys that are not there


def attend(
    q: Float[Array, "B H T D"],
    k: Float[Array, "B K S D"],
    v: Float[Array, "B K S D"],
    segments: Int[Array, "B T"] | None,
    *,
    causal: bool,
) -> Float[Array, "B H T D"]:
    """See `packed.attend`; `segments` [B, T], or None where everything is seen."""
    length, width = q.shape[2:]
    keys = k.shape[2]
    scaled = (q.astype(jnp.float32) * width**-0.5).astype(q.dtype)
    q, k, v = (_whole_tiles(x, (2, 3)) for x in (scaled, k, v))
    if segments is None:
        padded = k.shape[2] != keys
        segments = jnp.zeros((q.shape[0], length), jnp.int32)
        others = jnp.zeros((q.shape[0], keys), jnp.int32)
        given = (segments, others) if padded else None
    else:
        given = (segments, segments)
    if given is not None:
        given = (
            _whole_tiles(given[0], (1,)),
            _whole_tiles(given[1], (1,), fill=_NOBODY),
        )
    out = _sharded(functools.partial(_rows, causal=causal), q, k, v, given)
    return out[:, :, :length, :width]


def _whole_tiles(x: jax.Array, axes: tuple[int, ...], fill: int = 0) -> jax.Array:
    """`x` with these axes padded to multiples of TILE."""
    widths = [(0, -x.shape[i] % TILE if i in axes else 0) for i in range(x.ndim)]
    return jnp.pad(x, widths, constant_values=fill)


def _sharded(run, q, k, v, segments):
    """Each device its share of rows and heads: a kernel cannot be cut by XLA."""
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty:
        return run(q, k, v, segments)
    # Rows that the devices do not divide, such as one prompt, are everyone's.
    batch = "batch" if len(q) % _devices(mesh, "batch") == 0 else None
    rows = nn.logical_to_mesh_axes((batch, None))
    queries = nn.logical_to_mesh_axes((batch, "heads", None, None))
    shared = nn.logical_to_mesh_axes((batch, "kv_heads", None, None))
    given = None if segments is None else (rows, rows)
    return jax.shard_map(
        run,
        in_specs=(queries, shared, shared, given),
        out_specs=queries,
        check_vma=False,
    )(q, k, v, segments)


def _devices(mesh: jax.sharding.AbstractMesh, axis: str) -> int:
    """How many devices share a logical axis."""
    (names,) = nn.logical_to_mesh_axes((axis,)) or (None,)
    names = names if isinstance(names, tuple) else (names,)
    return math.prod(mesh.shape[name] for name in names if name is not None)


def _rows(q, k, v, segments, *, causal: bool):
    heads, length, keys = q.shape[1], q.shape[2], k.shape[2]
    one = masks.CausalMask if causal else masks.FullMask
    kernel = kernels.make_splash_mha(
        masks.MultiHeadMask([one((length, keys))] * heads),
        block_sizes=_blocks(length, keys),
        head_shards=1,
        q_seq_shards=1,
        interpret=hardware.platform() != "tpu",
    )
    if segments is None:
        return jax.vmap(kernel)(q, k, v)

    def row(q, k, v, own, others):
        return kernel(q, k, v, segment_ids=kernels.SegmentIds(own, others))

    return jax.vmap(row)(q, k, v, *segments)


def _blocks(length: int, keys: int) -> kernels.BlockSizes:
    rows, columns = (
        next(size for size in BLOCKS if total % size == 0) for total in (length, keys)
    )
    return kernels.BlockSizes(
        block_q=rows,
        block_kv=columns,
        block_kv_compute=columns,
        block_q_dkv=rows,
        block_kv_dkv=columns,
        block_kv_dkv_compute=columns,
        block_q_dq=rows,
        block_kv_dq=columns,
    )
