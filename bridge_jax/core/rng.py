"""Named random streams: a key is a pure function of (seed, name, step).

Nothing is split along the way, so a resumed run draws what the uninterrupted run
would have drawn, and adding a stream changes no other.
"""

import zlib

import jax

from bridge_jax.core.types import Array


def stream(
    seed: int | Array, name: str, step: int | Array = 0, part: int | Array | None = None
) -> Array:
    """Typed key of stream `name` at `step`; `part` tells micro-batches apart."""
    # crc32 and not hash(): the latter differs from process to process.
    key = jax.random.fold_in(jax.random.key(seed), zlib.crc32(name.encode()))
    key = jax.random.fold_in(key, step)
    return key if part is None else jax.random.fold_in(key, part)


class Streams:
    """The streams of one step by name: `rngs["dropout"]`.

    Any name will do; asking twice gives the same key.
    """

    def __init__(
        self,
        seed: int | Array,
        step: int | Array,
        part: int | Array | None = None,
        prefix: str = "",
    ):
        self._place = (seed, step, part)
        self._prefix = prefix

    def __getitem__(self, name: str) -> Array:
        seed, step, part = self._place
        return stream(seed, self._prefix + name, step, part)

    def below(self, prefix: str) -> "Streams":
        """The streams whose names begin with "prefix/", under the rest of the name."""
        return Streams(*self._place, f"{self._prefix}{prefix}/")
