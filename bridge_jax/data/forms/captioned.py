"""A picture with what is said of it.

{"image": "a.jpg", "caption": "a cat"}                  a table, a list
{"jpg": b"...", "txt": "a cat", "json": {...}}          a tar of WebDataset
{"image": array, "captions": ["a cat", "my cat"]}       COCO, Flickr30K, TFDS
{"prompt": "a photo of a cat", "caption": "..."}        what was asked for, too
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bridge_jax.data import images
from bridge_jax.data.faults import Faults
from bridge_jax.data.forms import pictures, words

PICTURES = ("image", *pictures.SUFFIXES)
CAPTIONS = ("captions", "caption", "text", "txt", "sentences")


@dataclasses.dataclass(frozen=True)
class Captioned:
    """Attributes:
    image: what `images.open_image` opens.
    captions: at least one.
    prompt: what a user would ask for, "" where the record has none.
    """

    image: images.Source
    captions: tuple[str, ...]
    prompt: str = ""


def read(
    record: Mapping[str, Any], homes: Sequence[str | Path], where: str, found: Faults
) -> Captioned:
    """The picture of a record with its captions; what is wrong goes to `found`."""
    image = picture(record, homes, where, found)
    prompt = ""
    if record.get("prompt") is not None:
        prompt = words.first(record, ("prompt",), where, found)
    return Captioned(image, captions(record, where, found), prompt)


def picture(
    record: Mapping[str, Any], homes: Sequence[str | Path], where: str, found: Faults
) -> images.Source:
    """The picture alone, of a record that may have no captions."""
    name = next((name for name in PICTURES if name in record), "image")
    return pictures.read(record.get(name), homes, where, found)


def captions(record: Mapping[str, Any], where: str, found: Faults) -> tuple[str, ...]:
    """The captions alone, of a record that may have no picture."""
    name = next((name for name in CAPTIONS if record.get(name) is not None), None)
    listed = record.get(name) if name else None
    if not isinstance(listed, list | tuple):
        return (words.first(record, CAPTIONS, where, found),)
    said = [_told(one) if isinstance(one, Mapping) else one for one in listed]
    kept = tuple(one for one in said if isinstance(one, str) and one.strip())
    if not kept or len(kept) < len(listed):
        found.add(where, f"{name!r} is empty, or not all of it is text")
    return tuple(one for one in kept if words.check(one, where, found))


def _told(one: Mapping[str, Any]) -> Any:
    """What Karpathy's lists have under "raw", TFDS under "text"."""
    return one.get("raw", one.get("text"))
