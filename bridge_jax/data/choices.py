"""A reproducible stream of random choices, addressed by a name."""

import hashlib
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")
BLOCK = 64


class Choices:
    """Random choices that are a pure function of the address, on every machine.

    The address (for instance seed, split, index, purpose) is hashed into a Philox key.
    Only raw 64-bit outputs are used, which numpy promises never to change, and they are
    drawn in blocks because single numpy draws are slow.
    """

    def __init__(self, *address: int | str):
        text = "/".join(str(part) for part in address)
        digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
        self._bits = np.random.Philox(key=int.from_bytes(digest, "little"))
        self._block: list[int] = []

    def uniform(self) -> float:
        """A float in [0, 1)."""
        if not self._block:
            self._block = self._bits.random_raw(BLOCK).tolist()
        return (self._block.pop() >> 11) * 2.0**-53

    def below(self, bound: int) -> int:
        """An integer in [0, bound)."""
        return int(self.uniform() * bound)

    def coin(self, probability: float = 0.5) -> bool:
        return self.uniform() < probability

    def choice(self, options: Sequence[T]) -> T:
        return options[self.below(len(options))]

    def weighted(self, options: Sequence[T], weights: Sequence[float]) -> T:
        """One option, with probability proportional to its weight."""
        rest = self.uniform() * sum(weights)
        for option, weight in zip(options, weights):
            rest -= weight
            if rest < 0:
                return option
        return options[-1]

    def sample(self, options: Sequence[T], count: int) -> list[T]:
        """`count` different options, in random order."""
        rest = list(options)
        return [rest.pop(self.below(len(rest))) for _ in range(count)]
