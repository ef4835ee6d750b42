"""What the LLM is asked to write a caption of, and who answers.

A stream whose rows have a caption that the LLM should write has a field `captions` and
calls `captions.of(wish, own)` where it needs one. By itself that is the row's own; in a
run with `cache.folder` the pipeline gives the stream a `Cached` in its place.
"""

import dataclasses
from typing import Literal

import numpy as np

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import processor as processor_lib
from bridge_jax.data.cache import names, records, store

FIELD = "captions"  # of the streams that ask
_SHOWN = 60  # letters of a wish in a message


@dataclasses.dataclass(frozen=True)
class Wish:
    """A request.

    Attributes:
      text: a prompt to draw, or the instruction of an edit.
      picture: what is edited, uint8 [H, W, 3] before it is fitted to the tower.
    """

    text: str
    picture: np.ndarray | None = None

    def name(self, processor: processor_lib.Processor) -> bytes:
        """Digest of the rendered question and of what the tower is shown."""
        if self.picture is None:
            return names.digest("caption", processor.draw(self.text, None).tokens)
        frames = processor.layout(self.picture)
        side = processor.config.patch
        grid = (len(frames), frames.shape[1] // side, frames.shape[2] // side)
        row = processor.edit(self.text, None, grid)
        return names.digest("caption", row.tokens, frames)


@dataclasses.dataclass(frozen=True)
class Captions:
    """The rows' own captions."""

    def of(self, wish: Wish, own: str) -> str:
        """The caption of a wish; `own` is what the row says itself, "" for nothing."""
        del wish
        return own


@dataclasses.dataclass(frozen=True)
class Cached(Captions):
    """The LLM's captions, from a cache.

    Attributes:
      missing: whether a wish that the cache lacks is refused, or the row's own caption
        taken ("own").
    """

    folder: str
    processor: processor_lib.Processor
    missing: Literal["refuse", "own"] = "refuse"

    def of(self, wish: Wish, own: str) -> str:
        kind = store.opened(self.folder).kind("captions")
        found = kind.get(wish.name(self.processor))
        if found is not None:
            return records.text(found["text"])
        if self.missing == "own" and own:
            return own
        raise BridgeError(
            f"{self.folder} has no caption of {wish.text[:_SHOWN]!r}: run `bridge cache"
            f" build --out {self.folder}` with this config and as many --rows as the"
            " run reads, or set cache.missing=own to take the row's own"
        )


@dataclasses.dataclass(frozen=True)
class Heard(Captions):
    """Answers with the row's own, and remembers what was asked."""

    wishes: list[Wish] = dataclasses.field(default_factory=list)

    def of(self, wish: Wish, own: str) -> str:
        self.wishes.append(wish)
        return own or wish.text
