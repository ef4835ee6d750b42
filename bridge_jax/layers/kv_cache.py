"""Key/value cache: a plain pytree of fixed shapes, at home in jit and lax loops.

B rows, K key/value heads, S slots, D head width. Slots fill from 0 in every row at
once; padding takes slots too and is kept out by `valid`, so rows of different lengths
may be padded on either side.

Keys are kept turned, [D, S] a head: so one turn's product with a few queries reads them
in order, on a CPU in less than half the time.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from bridge_jax.core.errors import BridgeError
from bridge_jax.core.types import Array, dtype

Keys, Values = Float[Array, "K D P"], Float[Array, "K P D"]  # of a row, in one layer


class Sizes(Protocol):
    """What a cache is made for: any decoder's config."""

    layers: int
    kv_heads: int
    head_dim: int
    dtype: str


@flax.struct.dataclass
class KVCache:
    """What the decoder remembers of the tokens so far."""

    keys: tuple[jax.Array, ...]  # per layer [B, K, D, S], rotated
    values: tuple[jax.Array, ...]  # per layer [B, K, S, D]
    valid: jax.Array  # bool [B, S], True for real tokens
    length: jax.Array  # int32 [], slots written
    # Known while tracing: nothing is written, so a prompt sees itself alone.
    fresh: bool = flax.struct.field(pytree_node=False, default=False)

    @property
    def start(self) -> Int[Array, ""]:
        """The slot that is written next."""
        return self.length

    def past(self, steps: int) -> Bool[Array, "T S"]:
        """bool [T, S]: the slots that each of the next T tokens comes after."""
        slots = jnp.arange(self.valid.shape[1])[None, :]
        return slots <= (self.length + jnp.arange(steps))[:, None]


@flax.struct.dataclass
class RingCache(KVCache):
    """A cache whose slots are taken again, for rows that come and go; see `admit`.

    Tokens come one a row at a time. A row sees its last S tokens, and all of them if
    it never has more.
    """

    @property
    def start(self) -> Int[Array, ""]:
        return self.length % self.valid.shape[1]

    def past(self, steps: int) -> Bool[Array, "1 S"]:
        """All slots: what is valid was written before."""
        if steps != 1:
            raise BridgeError("a ring takes one token a row at a time")
        return jnp.ones((1, self.valid.shape[1]), bool)


def empty(
    config: Sizes, batch: int, capacity: int, kind: type[KVCache] = KVCache
) -> KVCache:
    """A cache of `capacity` slots a row; it must hold the prompt and all new tokens.

    A write beyond the capacity would overwrite the last slots: the caller counts.
    """
    heads, width = (batch, config.kv_heads), config.head_dim

    def zeros(*shape: int) -> tuple[jax.Array, ...]:
        form = dtype(config.dtype)
        return tuple(jnp.zeros(heads + shape, form) for _ in range(config.layers))

    return kind(
        keys=zeros(width, capacity),
        values=zeros(capacity, width),
        valid=jnp.zeros((batch, capacity), bool),
        length=jnp.zeros((), jnp.int32),
        fresh=kind is KVCache,  # a ring stays as it is while rows come and go
    )


def reserve(
    cache: KVCache, segments: Int[Array, "B T"]
) -> tuple[KVCache, Bool[Array, "B 1 T S"]]:
    """Take the next T slots of every row.

    Args:
      cache: as left by the previous call.
      segments: [B, T] int, 0 for padding. One sequence a row: packed rows cannot be
        decoded.

    Returns:
      The cache with `valid` and `length` moved on, and the attention mask [B, 1, T, S]
      of the new tokens.

    Raises:
      BridgeError: T tokens cannot fit into the cache at all.
    """
    steps, capacity = segments.shape[1], cache.valid.shape[1]
    if steps > capacity:
        raise BridgeError(
            f"{steps} tokens do not fit into a cache of {capacity} slots; "
            "make the cache as long as the prompt plus all new tokens"
        )
    valid = jax.lax.dynamic_update_slice(cache.valid, segments != 0, (0, cache.start))
    mask = valid[:, None, None, :] & cache.past(steps)[None, None]
    cache = cache.replace(valid=valid, length=cache.length + steps, fresh=False)
    return cache, mask


def write(
    memory: tuple[Float[Array, "B K D S"], Float[Array, "B K S D"]],
    new: tuple[Float[Array, "B K T D"], Float[Array, "B K T D"]],
    start: Int[Array, ""],
) -> tuple[Float[Array, "B K D S"], Float[Array, "B K S D"]]:
    """A layer's memory with the keys and values of T tokens in it, from `start` on.

    What is new has keys as attention makes them, [B, K, T, D]; here they are turned.
    """
    turned = jnp.swapaxes(new[0], 2, 3)
    return _put(memory[0], turned, start, 3), _put(memory[1], new[1], start, 2)


def _put(memory: jax.Array, new: jax.Array, start: jax.Array, axis: int) -> jax.Array:
    update = jax.lax.dynamic_update_slice_in_dim
    new = new.astype(memory.dtype)
    if memory.shape[0] == 1:  # see `folded`
        return update(memory[0], new[0], start, axis - 1)[None]
    return update(memory, new, start, axis)


def folded(cache: KVCache) -> KVCache:
    """The cache as a loop carries it: a single row's layers are without their B.

    Products drop axes of length one. Where the loop has them, XLA on CPU writes each
    layer twice, for the products and for the next turn, and copies it whole to do so.
    """
    if cache.valid.shape[0] != 1:
        return cache
    return _each(lambda _, one: one[0], cache)


def unfolded(carried: KVCache) -> KVCache:
    """What `folded` was given."""
    if carried.valid.shape[0] != 1:
        return carried
    return _each(lambda _, one: one[None], carried)


def _each(change: Callable[..., jax.Array], cache: KVCache, *others: Any) -> KVCache:
    """`change(axis of slots, layer, ...)` of all keys and values."""
    keys = zip(cache.keys, *(one.keys for one in others), strict=True)
    values = zip(cache.values, *(one.values for one in others), strict=True)
    return cache.replace(
        keys=tuple(change(-1, *layer) for layer in keys),
        values=tuple(change(-2, *layer) for layer in values),
    )


def admit(ring: RingCache, rows: Int[Array, " N"], new: KVCache) -> RingCache:
    """Rows of a ring given to others, whose prompts end where it is written next.

    Args:
      rows: int32 [N]; a number that no row has takes nothing.
      new: of N rows, all T of its slots written, T at most S.
    """
    steps, capacity = new.valid.shape[1], ring.valid.shape[1]
    slots = (ring.length - steps + jnp.arange(steps)) % capacity
    rows = rows[:, None]

    def put(axis: int, old: jax.Array, prompt: jax.Array) -> jax.Array:
        between = (slice(None),) * (old.ndim + axis - 1)
        prompt = jnp.moveaxis(prompt, axis, 1)
        return old.at[rows, *between, slots[None]].set(prompt, mode="drop")

    valid = ring.valid.at[rows].set(False, mode="drop")
    valid = valid.at[rows, slots[None]].set(new.valid, mode="drop")
    return _each(put, ring, new).replace(valid=valid)


def resume(
    keys: Sequence[Keys],
    values: Sequence[Values],
    count: Int[Array, ""],
    batch: int,
    room: int,
) -> KVCache:
    """A cache that goes on from what another held, the same in each row.

    Args:
      keys, values: per layer, of the first P slots.
      count: int32 [], how many of these are real; the others are padding after them.
      room: slots for what follows.
    """
    size = values[0].shape[1]

    def put(axis: int, one: jax.Array) -> jax.Array:
        widths = [(0, 0)] * one.ndim
        widths[axis] = (0, room)
        wide = jnp.pad(one, widths)
        return jnp.broadcast_to(wide[None], (batch, *wide.shape))

    valid = jnp.broadcast_to(jnp.arange(size + room) < count, (batch, size + room))
    kept = KVCache(tuple(keys), tuple(values), valid, jnp.asarray(size, jnp.int32))
    return _each(put, kept)


def packed(cache: KVCache, most: int) -> KVCache:
    """The last `most` slots, all written, once padding has moved to the left."""
    order = jnp.argsort(cache.valid, axis=1, stable=True)[:, -most:]

    def move(axis: int, one: jax.Array) -> jax.Array:
        return jnp.take_along_axis(one, jnp.expand_dims(order, (1, -3 - axis)), axis)

    valid = jnp.take_along_axis(cache.valid, order, axis=1)
    return _each(move, cache).replace(valid=valid)


def taken(
    ring: RingCache, row: Int[Array, ""], size: int
) -> tuple[tuple[Keys, ...], tuple[Values, ...]]:
    """Keys and values a layer of a row's `size` tokens in order, then padding."""
    capacity = ring.valid.shape[1]
    aged = (ring.length + jnp.arange(capacity)) % capacity  # the oldest first
    slots = aged[jnp.argsort(~ring.valid[row][aged], stable=True)[:size]]

    def pick(axis: int, one: jax.Array) -> jax.Array:
        return jnp.take(jnp.take(one, row, axis=0), slots, axis)

    picked = _each(pick, ring)
    return picked.keys, picked.values


def next_positions(
    cache: KVCache, deltas: Int[Array, " B"], steps: int = 1
) -> Int[Array, "3 B T"]:
    """M-RoPE positions [3, B, steps] of the next text tokens.

    `deltas` [B] come from the prompt: a row's largest position + 1, less its slots.
    """
    slots = cache.length + jnp.arange(steps, dtype=jnp.int32)
    positions = slots[None, None, :] + deltas.astype(jnp.int32)[None, :, None]
    return jnp.broadcast_to(positions, (3, deltas.shape[0], steps))
