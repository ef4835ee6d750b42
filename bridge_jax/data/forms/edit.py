"""A picture, what shall change in it, and the changed picture.

Field names of InstructPix2Pix, MagicBrush and their like are known; for others a stream
has `columns`.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bridge_jax.data import images
from bridge_jax.data.faults import Faults
from bridge_jax.data.forms import pictures, words

SOURCES = (
    "source",
    "input",
    "source_img",
    "source_image",
    "input_image",
    "original_image",
)
TARGETS = (
    "target",
    "output",
    "target_img",
    "target_image",
    "output_image",
    "edited_image",
)
INSTRUCTIONS = ("instruction", "edit", "edit_prompt", "prompt", "txt")
CAPTIONS = ("caption", "target_caption", "output_caption", "edited_prompt")


@dataclasses.dataclass(frozen=True)
class Edit:
    """Attributes:
    source, target: what `images.open_image` opens.
    instruction: what shall change.
    caption: of the target; "" where nobody wrote one.
    """

    source: images.Source
    instruction: str
    target: images.Source
    caption: str = ""


def read(
    record: Mapping[str, Any], homes: Sequence[str | Path], where: str, found: Faults
) -> Edit:
    """The edit of a record; what is wrong goes to `found`."""
    sides = []
    for side, names in (("source", SOURCES), ("target", TARGETS)):
        name = next((name for name in names if name in record), None)
        if name is None:
            found.add(where, f"has no {side} picture: none of {', '.join(names)}")
            sides.append(b"")
        else:
            sides.append(pictures.read(record[name], homes, where, found))
    wish = words.first(record, INSTRUCTIONS, where, found)
    caption = next((record[name] for name in CAPTIONS if record.get(name)), "")
    if caption:
        caption = words.first({"caption": caption}, ("caption",), where, found)
    return Edit(sides[0], wish, sides[1], caption)
