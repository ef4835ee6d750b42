"""A list shared out among processes: each takes every N-th item, from its own on.

    Shard.parse("1/4").of("abcdefg")     # [(1, "b"), (5, "f")]

Nothing is filled up, so the union of all shards is the list, each item once.
"""

import dataclasses
import re
from collections.abc import Sequence
from typing import TypeVar

from bridge_jax.core.errors import BridgeError

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Shard:
    """Items `index`, `index + count`, `index + 2 count`, ...

    Raises:
      BridgeError: unless 0 <= index < count.
    """

    index: int
    count: int

    def __post_init__(self):
        if not 0 <= self.index < self.count:
            raise BridgeError(
                f"shard {self.index}/{self.count}: I/N needs 0 <= I < N, the first"
                " of four is 0/4"
            )

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """The shard of "I/N". Raises BridgeError for anything else."""
        found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text.strip())
        if found is None:
            raise BridgeError(f"shard {text!r} is not of the form I/N, such as 0/4")
        return cls(int(found[1]), int(found[2]))

    def of(self, sequence: Sequence[T]) -> list[tuple[int, T]]:
        """(position in `sequence`, item) of this shard's items."""
        return list(enumerate(sequence))[self.index :: self.count]

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


WHOLE = Shard(0, 1)
