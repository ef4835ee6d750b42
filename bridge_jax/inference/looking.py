"""Requests about pictures as conversations, looked at first where the model does so.

With `Instructions.look_first` a picture is described in a turn of its own, and what is
asked follows with the description in view. Training rows are laid out alike.
"""

from collections.abc import Sequence

import numpy as np

from bridge_jax.core.types import Params
from bridge_jax.data import chat
from bridge_jax.inference import decode
from bridge_jax.inference.engine import Engine
from bridge_jax.inference.inputs import Picture
from bridge_jax.inference.results import Answer

Seen = tuple[Picture, ...]
_MARKS = 16  # tokens beside a caption's


def conversations(
    engine: Engine, params: Params, seen: Sequence[Seen], texts: Sequence[str]
) -> list[decode.Conversation]:
    """One conversation a request, ending with the assistant's opened turn.

    Args:
      seen: the pictures of each request, or none.
      texts: what is asked of each.
    """
    looks: list[Answer | None] = [None] * len(texts)
    if engine.processor.words.look_first:
        shown = [i for i, pictures in enumerate(seen) if pictures]
        found = descriptions(engine, params, [seen[i] for i in shown])
        for i, answer in zip(shown, found, strict=True):
            looks[i] = answer
    return [
        conversation(engine, pictures, text, look)
        for pictures, text, look in zip(seen, texts, looks, strict=True)
    ]


def descriptions(engine: Engine, params: Params, seen: Sequence[Seen]) -> list[Answer]:
    """What the model says of pictures; equal ones are looked at once."""
    names = [b"|".join(one.pixels.tobytes() for one in pictures) for pictures in seen]
    first = {name: i for i, name in reversed(list(enumerate(names)))}
    rows = sorted(first.values())
    if not rows:
        return []
    describe = engine.processor.words.describe
    asked = [conversation(engine, seen[i], describe) for i in rows]
    # Greedy: a description is a reading of the picture, so no seed matters.
    choice = decode.Choice(engine.processor.config.memory_length + _MARKS)
    numbers = np.zeros(len(rows), np.uint32)
    found = decode.answers(engine, params, asked, choice, numbers, "looking")
    by_row = dict(zip(rows, found, strict=True))
    return [by_row[first[name]] for name in names]


def conversation(
    engine: Engine, pictures: Seen, text: str, look: Answer | None = None
) -> decode.Conversation:
    """Pictures, what was said of them if anything, and what is asked now."""
    words: list[dict] = [{"type": "text", "text": text}]
    images: list[dict] = [{"type": "image"}] * len(pictures)
    messages: list[chat.Message] = [{"role": "user", "content": images + words}]
    if look is not None:
        describe = {"type": "text", "text": engine.processor.words.describe}
        messages = [
            {"role": "user", "content": [*images, describe]},
            {"role": "assistant", "content": look.text},
            {"role": "user", "content": words},
        ]
    grids = [picture.grid for picture in pictures]
    row = engine.processor.render(messages, grids, answer=True)
    return decode.Conversation(row, pictures)
