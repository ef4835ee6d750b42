"""A run's rows with what a cache brings to them."""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal

from bridge_jax.core.config import suggest
from bridge_jax.core.errors import BridgeError
from bridge_jax.data import processor as processor_lib
from bridge_jax.data.cache import fields, origin, store, wishes

Stream = Callable[[int], dict[str, Any]]


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a run reads of a cache.

    Attributes:
      folder: made by `bridge cache build`; "" for none.
      read: kinds of records with commas between them, of captions, targets, latents
        and states.
      missing: a wish without a caption is refused, or the row's own taken ("own").
    """

    folder: str = ""
    read: str = "captions"
    missing: Literal["refuse", "own"] = "refuse"

    def __post_init__(self):
        kinds_of(self.read, "cache.read")

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds that are read: none without a folder."""
        return kinds_of(self.read, "cache.read") if self.folder else ()

    def look(self) -> None:
        """Raises BridgeError unless the cache is there, whole and has these kinds."""
        if self.kinds:
            store.opened(self.folder).need(self.kinds)

    def captions(self, processor: processor_lib.Processor) -> wishes.Captions:
        """Who answers the streams' wishes."""
        if "captions" not in self.kinds:
            return wishes.Captions()
        return wishes.Cached(self.folder, processor, self.missing)

    def around(self, stream: Stream) -> Stream:
        """The stream, its rows completed."""
        kinds = tuple(kind for kind in self.kinds if kind != "captions")
        return Completed(stream, self.folder, kinds) if kinds else stream


@dataclasses.dataclass(frozen=True)
class Completed:
    """A stream whose rows carry what was computed of them before."""

    stream: Stream
    folder: str
    kinds: tuple[str, ...]

    def __call__(self, index: int) -> dict[str, Any]:
        row, brought = self.stream(index), {}
        for kind in self.kinds:
            for field, name in fields.wanted(kind, row).items():
                found = store.opened(self.folder).kind(kind).get(name)
                if found is None:
                    raise BridgeError(
                        f"{self.folder} has no {kind} of row {index}: run `bridge cache"
                        f" build --what ... --out {self.folder}` with this config and"
                        " as many --rows as the run reads"
                    )
                brought[field] = fields.restored(field, row, found["array"])
        return row | brought


def kinds_of(text: str, where: str) -> tuple[str, ...]:
    """The kinds of "captions,targets". Raises BridgeError for those there are not."""
    kinds = tuple(text.split(","))
    wrong = [f"{k!r}{suggest(k, origin.KINDS)}" for k in kinds if k not in origin.KINDS]
    if wrong:
        known = ", ".join(origin.KINDS)
        raise BridgeError(f"{where}: {', '.join(wrong)} is none of {known}")
    return kinds
