"""A text with pictures between its paragraphs, or one picture with its caption.

    {"texts": ["A cat.", None, "A dog."], "images": [None, "cat.jpg", None]}
    {"text": "..."}

The first is OBELICS' form: of each pair one side is None. Other records are read as
`captioned`, the picture first.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bridge_jax.data import images
from bridge_jax.data.faults import Faults
from bridge_jax.data.forms import captioned, pictures, words


@dataclasses.dataclass(frozen=True)
class Document:
    """Attributes:
    parts: of `chat.document`, in reading order.
    images: of its image parts, in order.
    videos: none.
    """

    parts: tuple[Mapping[str, str], ...]
    images: tuple[images.Source, ...]
    videos: tuple[Path, ...] = ()

    @property
    def shown(self) -> tuple[str, ...]:
        """ "image" of each, in order of appearance."""
        return ("image",) * len(self.images)


def read(
    record: Mapping[str, Any], homes: Sequence[str | Path], where: str, found: Faults
) -> Document:
    """The document of a record; what is wrong goes to `found`."""
    if "texts" in record:
        return _interleaved(record, homes, where, found)
    if not any(name in record for name in captioned.PICTURES):
        said = words.first(record, captioned.CAPTIONS[1:], where, found)
        return Document(({"type": "text", "text": said},), ())
    made = captioned.read(record, homes, where, found)
    said = made.captions[0] if made.captions else ""
    parts = ({"type": "image"}, {"type": "text", "text": said})
    return Document(parts, (made.image,))


def _interleaved(record, homes, where: str, found: Faults) -> Document:
    texts, seen = record["texts"], record.get("images") or []
    if not isinstance(texts, list) or not isinstance(seen, list):
        found.add(where, "'texts' and 'images' are lists, with None where the other is")
        return Document((), ())
    if len(seen) != len(texts):
        found.add(where, f"{len(texts)} texts and {len(seen)} images: they go in pairs")
    parts, shown = [], []
    for number, (said, picture) in enumerate(zip(texts, seen, strict=False)):
        place = f"{where}: part {number}"
        if picture is not None:
            shown.append(pictures.read(picture, homes, place, found))
            parts.append({"type": "image"})
        if isinstance(said, str) and words.check(said, place, found):
            parts.append({"type": "text", "text": said})
        elif said is not None and not isinstance(said, str):
            found.add(place, "is no text")
    if not any(part["type"] == "text" and part["text"].strip() for part in parts):
        found.add(where, "has no words")
    return Document(tuple(parts), tuple(shown))
