"""The k nearest of each query by dot product, compared block by block in JAX.

A block of vectors is divided by its rows over the devices of a mesh. Each finds the k
best of its rows, all gather them, and merge them with the k best so far. On a CPU a
block is no copy: it is read where the file is mapped.
"""

import functools
from collections.abc import Iterable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

BYTES = 1 << 27  # of vectors that are compared at once, on all devices together
_QUERIES = 256  # that are compared at once
_GROUP = 16  # rows of which the best is looked for first
_LEAST_K = 16

Piece = tuple[np.ndarray, np.ndarray | None]


def nearest(
    pieces: Iterable[Piece], queries: np.ndarray, k: int, mesh: Mesh | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The best k of each query, best first; among equals the earlier vector.

    Args:
      pieces: vectors [N, E], all float32 or all bfloat16, and bool [N] which of them
        count (None: all). They are numbered through, less than 2**31 together.
      queries: [Q, E].
      k: no more than there are vectors that count.
      mesh: whose devices share each block; None for the first device of this process.

    Returns:
      places int64 and scores float32, both [Q, k]. Products of bfloat16 are summed up
      in float32.
    """
    pieces = list(pieces)
    mesh = mesh or _alone()
    some = range(0, len(queries), _QUERIES)
    found = [_nearest(pieces, queries[i : i + _QUERIES], k, mesh) for i in some]
    places, scores = (np.concatenate(one) for one in zip(*found, strict=True))
    return places.astype(np.int64), scores


def _nearest(
    pieces: list[Piece], queries: np.ndarray, k: int, mesh: Mesh
) -> tuple[np.ndarray, np.ndarray]:
    """As `nearest`; k and the number of queries are rounded up, for few programs."""
    dtype = pieces[0][0].dtype
    rows, most = _ceil2(len(queries)), max(_LEAST_K, _ceil2(k))
    padded = np.zeros((rows, queries.shape[1]), dtype)
    padded[: len(queries)] = queries.astype(dtype)
    whole = NamedSharding(mesh, P())
    asked = _placed(padded, whole)
    best = (
        _placed(np.full((rows, most), -np.inf, np.float32), whole),
        _placed(np.zeros((rows, most), np.int32), whole),
    )
    divided = NamedSharding(mesh, P(mesh.axis_names))
    for block, counts, start in _blocks(pieces, mesh.size):
        best = _merged(
            best,
            _placed(block, divided),
            _placed(counts, divided),
            _placed(np.int32(start), whole),
            asked,
            mesh=mesh,
        )
    scores, places = (np.asarray(one)[: len(queries), :k] for one in best)
    return places, scores


def _blocks(
    pieces: list[Piece], devices: int
) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
    """Vectors [B, E], which of them count bool [B], and the number of the first.

    B is a power of two for each device. What is less than a block is filled up; the
    last of several blocks begins so early that it is whole, and what it repeats does
    not count.
    """
    first = 0
    for vectors, alive in pieces:
        count, width = vectors.shape
        most = _floor2(max(1, BYTES // (width * vectors.itemsize * devices)))
        each = max(_GROUP, min(most, _ceil2(-(-count // devices))))
        size = each * devices
        for start in range(0, count, size):
            begin = min(start, max(0, count - size))
            block = vectors[begin : begin + size]
            counts = np.zeros(size, bool)
            counts[start - begin : len(block)] = True
            if alive is not None:
                counts[: len(block)] &= alive[begin : begin + size]
            if len(block) < size:
                filled = np.zeros((size, width), vectors.dtype)
                filled[: len(block)] = block
                block = filled
            yield np.asarray(block), counts, first + begin
        first += count


@functools.partial(jax.jit, static_argnames=("mesh",))
def _merged(
    best: tuple[jax.Array, jax.Array],
    block: jax.Array,
    counts: jax.Array,
    start: jax.Array,
    queries: jax.Array,
    *,
    mesh: Mesh,
) -> tuple[jax.Array, jax.Array]:
    """The best so far, scores and places [Q, k], and of a block [B, E], together."""
    axes = mesh.axis_names

    def local(best, block, counts, start, queries):
        k = best[0].shape[1]
        scores, rows = _top(_scores(block, counts, queries), k)
        places = rows + start + jax.lax.axis_index(axes) * block.shape[0]
        gathered = (
            jax.lax.all_gather(one, axes, axis=1, tiled=True)
            for one in (scores, places)
        )
        # Equals stay in the order of their places: what was found before comes first.
        scores, places = (
            jnp.concatenate(pair, axis=1) for pair in zip(best, gathered, strict=True)
        )
        scores, chosen = jax.lax.top_k(scores, k)
        return scores, jnp.take_along_axis(places, chosen, axis=1)

    rows = P(axes)
    return jax.shard_map(
        local,
        mesh=mesh,
        in_specs=(P(), rows, rows, P(), P()),
        out_specs=P(),
        check_vma=False,  # what is gathered and merged everywhere is everywhere alike
    )(best, block, counts, start, queries)


def _scores(block: jax.Array, counts: jax.Array, queries: jax.Array) -> jax.Array:
    """float32 [B, Q]: vectors first, which XLA on a CPU multiplies the fastest."""
    scores = jax.lax.dot_general(
        block,
        queries,
        (((1,), (1,)), ((), ())),
        # Without it, TPUs would round float32.
        precision=jax.lax.Precision.HIGHEST if block.dtype == jnp.float32 else None,
        preferred_element_type=jnp.float32,
    )
    return jnp.where(counts[:, None], scores, -jnp.inf)


def _top(scores: jax.Array, k: int) -> tuple[jax.Array, jax.Array]:
    """The best of [B, Q], at most k: scores and rows, both [Q, min(k, B)].

    The best k lie in the k groups whose best are the best, which spares most of the
    sorting. Earlier groups win among equals, so earlier rows do.
    """
    count, queries = scores.shape
    groups = count // _GROUP
    if groups <= k:
        return jax.lax.top_k(scores.T, min(k, count))
    grouped = scores.reshape(groups, _GROUP, queries)
    _, chosen = jax.lax.top_k(grouped.max(axis=1).T, k)
    # In the order of their numbers, so that equals of several groups are, too.
    chosen = jnp.sort(chosen, axis=1)
    few = grouped[chosen, :, jnp.arange(queries)[:, None]].reshape(queries, -1)
    rows = chosen[:, :, None] * _GROUP + jnp.arange(_GROUP)[None, None]
    best, chosen = jax.lax.top_k(few, k)
    return best, jnp.take_along_axis(rows.reshape(queries, -1), chosen, axis=1)


def _placed(array: np.ndarray | np.generic, where: NamedSharding) -> jax.Array:
    """On the devices of a mesh, of which this process may have some."""
    array = np.asarray(array)
    if where.mesh.size == 1:
        return jax.device_put(array, where)
    return jax.make_array_from_callback(array.shape, where, lambda part: array[part])


@functools.cache
def _alone() -> Mesh:
    one = np.array(jax.local_devices()[:1])
    return Mesh(one, ("rows",), axis_types=(AxisType.Auto,))


def _ceil2(count: int) -> int:
    return 1 << (count - 1).bit_length()


def _floor2(count: int) -> int:
    return 1 << (count.bit_length() - 1)
