"""What streams of other people's records share: files, order, and what is of no use.

The records come in another order in every epoch. One that is of no use is told,
counted, and the next of the file taken in its place, so that row i stays a function of
i alone, on however many processes.
"""

import abc
import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np

from bridge_jax.core.errors import BridgeError
from bridge_jax.core.once import once
from bridge_jax.data import processor, sources
from bridge_jax.data.choices import Choices
from bridge_jax.data.faults import Faults
from bridge_jax.data.images import Source, open_image
from bridge_jax.data.records import epochs, rejects
from bridge_jax.data.sources import places, shards

T = TypeVar("T")
Row = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class RecordStream(abc.ABC):
    """A stream that makes each row of one record.

    Attributes:
      data: the file or files, see `sources`.
      kind: the file of `sources` that reads them; by default what `data` looks like.
      images: folder that pictures are named from; by default that of `data`, or
        "images" in it.
      columns: "image=photo,caption=alt": the records' own names of fields.
      seed: of their order.
      most_bad: largest share of the records that may be of no use.
    """

    processor: processor.Processor
    data: str = ""
    kind: str = ""
    images: str = ""
    columns: str = ""
    seed: int = 0
    most_bad: float = 0.01

    def __post_init__(self):
        if not self.data:
            raise BridgeError(
                f"streams of {type(self).__module__.rpartition('.')[2]} need data=FILE"
            )
        renamed(self.columns)

    def __call__(self, index: int) -> Row:
        return self.of(index, self.choices(index))

    @abc.abstractmethod
    def row(self, where: str, record: Mapping[str, Any], choices: Choices) -> Row:
        """The row of a record. Raises Useless if it makes none."""

    def of(self, index: int, choices: Choices) -> Row:
        """A row of the record that is number `index`, or the next one of use."""
        first = epochs.record(self.seed, index, len(self.source))
        make = functools.partial(self.row, choices=choices)
        for more in range(len(self.source)):
            row = self.tried((first + more) % len(self.source), make)
            if row is not None:
                return row
        raise BridgeError(f"{self.data}: not one of its records is of use")

    def choices(self, index: int) -> Choices:
        """What is left to chance in a row."""
        return Choices(self.seed, "records", index)

    def tried(
        self,
        number: int,
        make: Callable[[str, Mapping[str, Any]], T],
        bad: rejects.Rejects | None = None,
    ) -> T | None:
        """`make(where, record)` of record `number`, or None if it is of no use.

        Args:
          bad: where it is counted; by default with all that training comes across.

        Raises:
          BridgeError: too many are of no use.
        """
        bad = bad or self.rejects
        bad.read()
        try:
            where, record = self.source[number]
        except BridgeError as error:
            bad.add("record", str(error))
            return None
        for name, theirs in renamed(self.columns).items():
            if theirs in record:
                record = {**record, name: record[theirs]}
        try:
            return make(where, record)
        except rejects.Useless as error:
            bad.add(error.reason, str(error))
        return None

    @once
    def source(self) -> sources.Records:
        """The records of the files, opened when first asked for."""
        return sources.open_source(self.data, self.kind)

    @once
    def rejects(self) -> rejects.Rejects:
        """What training came across that is of no use."""
        return rejects.Rejects(self.most_bad)

    @property
    def homes(self) -> list[str]:
        """Folders that pictures are named from."""
        if self.images:
            return [self.images]
        home = shards.home(self.data)
        return [home, places.below(home, "images")]

    def understood(self, read: Callable[..., T], where: str, record: Any) -> T:
        """What the `read` of a form finds in the record. Raises Useless at a fault."""
        found = Faults()
        made = read(record, self.homes, where, found)
        if found.lines:
            raise rejects.Useless("record", found.lines[0])
        return made

    def opened(self, picture: Source, where: str) -> np.ndarray:
        """uint8 [H, W, 3]. Raises Useless for a picture that cannot be read."""
        try:
            return open_image(picture)
        except BridgeError as error:
            raise rejects.Useless("picture", f"{where}: {error}") from None


@functools.lru_cache(8)
def renamed(columns: str) -> Mapping[str, str]:
    """{"image": "photo"} of "image=photo". Raises BridgeError if it is written else."""
    pairs = [pair.split("=") for pair in columns.split(",") if pair]
    if not all(len(pair) == 2 and all(pair) for pair in pairs):
        raise BridgeError(
            f"columns {columns!r} is not written as image=photo,caption=alt: our name"
            " of a field, then the records'"
        )
    return {ours.strip(): theirs.strip() for ours, theirs in pairs}
