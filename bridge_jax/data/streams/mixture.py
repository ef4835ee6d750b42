"""Several streams as one, in shares: row after row from each as often as it weighs.

    c.streams.main = dict(source="mixture", batch=128, of=dict(
        llava=dict(source="conversations", weight=3.0, data="mix665k.json", ...),
        mine=dict(source="conversations", weight=1.0, data="mine.jsonl", ...)))

Grain's interleaving: which row comes from where is a function of its number alone, and
no share strays from its weight by more than a row or so. Each stream goes through its
own records in its own order, however often the others have ended.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import grain
import numpy as np

from bridge_jax.core.errors import BridgeError
from bridge_jax.core.once import once
from bridge_jax.data import pipeline, processor
from bridge_jax.data.cache import wishes
from bridge_jax.data.streams import ENDLESS


@dataclasses.dataclass(frozen=True)
class Stream:
    """Row: as of each stream in `of`; they have the same fields, of the same shapes.

    Attributes:
      of: name -> {"source": file in data/streams, "weight": above 0, **fields}.
      captions: who answers wishes of theirs, see `data/cache/wishes.py`.
    """

    processor: processor.Processor
    of: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    captions: wishes.Captions = wishes.Captions()

    def __post_init__(self):
        wrong = [
            f"{name} has weight {given.get('weight', 1.0)}"
            for name, given in self.of.items()
            if not given.get("weight", 1.0) > 0
        ]
        if not self.of or wrong:
            raise BridgeError(
                f"a mixture is of streams with weights above 0"
                f"{': ' if wrong else ', and names none'}{'; '.join(wrong)}"
            )

    def __call__(self, index: int) -> dict[str, Any]:
        return self.mixed[index]

    @once
    def mixed(self) -> grain.MapDataset:
        """All rows, in order."""
        streams, weights = [], []
        for name, given in self.of.items():
            given = dict(given)
            weights.append(float(given.pop("weight", 1.0)))
            stream = pipeline.load_stream(name, given, self.processor, self.captions)
            streams.append(grain.MapDataset.range(ENDLESS).map(stream))
        self._check_shapes([stream[0] for stream in streams])
        return grain.MapDataset.mix(streams, weights)

    def _check_shapes(self, rows: list[dict[str, Any]]) -> None:
        first, *others = (_shapes(row) for row in rows)
        names = list(self.of)
        for name, other in zip(names[1:], others, strict=True):
            differ = sorted(
                field
                for field in first.keys() | other.keys()
                if first.get(field) != other.get(field)
            )
            if differ:
                field = differ[0]
                raise BridgeError(
                    f"the streams of a mixture make rows of one shape: {field} is"
                    f" {_told(first, field)} in {names[0]}, {_told(other, field)} in"
                    f" {name}; give them the same lengths and sizes"
                )


def _shapes(row: Mapping[str, Any], above: str = "") -> dict[str, tuple]:
    found = {}
    for name, value in row.items():
        if isinstance(value, Mapping):
            found |= _shapes(value, f"{above}{name}.")
        else:
            array = np.asarray(value)
            found[f"{above}{name}"] = (array.dtype.name, array.shape)
    return found


def _told(shapes: Mapping[str, tuple], field: str) -> str:
    if field not in shapes:
        return "missing"
    dtype, shape = shapes[field]
    return f"{dtype} {list(shape)}"
