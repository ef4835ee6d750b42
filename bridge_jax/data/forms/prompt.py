"""What somebody asked to be drawn, without a picture of it.

{"prompt": "a photo of a cat", "tag": "single_object", ...}      GenEval's lines
{"prompt": "a cat", "caption": "A grey cat on a mat."}           with its rewriting
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bridge_jax.data.faults import Faults
from bridge_jax.data.forms import words


@dataclasses.dataclass(frozen=True)
class Prompt:
    """Attributes:
    prompt: what a user asks for.
    caption: what the language model should write of it; "" where nobody did.
    """

    prompt: str
    caption: str = ""


def read(
    record: Mapping[str, Any], homes: Sequence[str | Path], where: str, found: Faults
) -> Prompt:
    """The prompt of a record; what is wrong goes to `found`."""
    del homes
    prompt = words.first(record, ("prompt", "text"), where, found)
    if not record.get("caption"):
        return Prompt(prompt)
    return Prompt(prompt, words.first(record, ("caption",), where, found))
