"""What was measured of one work."""

import dataclasses
import statistics
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Measured:
    """Attributes:
    seconds: a run takes, of each round.
    compile: seconds before the first.
    flops: a run needs by its mathematics; 0 where memory is what limits it.
    bytes: it must read at least; 0 where arithmetic is what limits it.
    items: of the work's unit in a run.
    peak: bytes that the device held at most; None where it does not tell.
    told: what shows that it did its work, such as losses.
    """

    seconds: tuple[float, ...]
    compile: float
    flops: float
    bytes: float
    items: float
    peak: int | None
    told: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def share(self, ceilings: Mapping[str, float]) -> float:
        """Of the ceiling that limits it: {"flops", "memory"} a second."""
        if self.bytes:
            return self.bytes / self.median / ceilings["memory"]
        return self.flops / self.median / ceilings["flops"]
