"""Requests about pictures as conversations, looked at first where the model does so.

With `Instructions.look_first` a picture is described in a turn of its own, and what is
asked follows with the description in view. Training rows are laid out alike.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bridge_jax.core.types import Params
from bridge_jax.data import chat
from bridge_jax.inference import inputs
from bridge_jax.inference.answering import decode
from bridge_jax.inference.engine import Engine
from bridge_jax.inference.inputs import Picture
from bridge_jax.inference.results import Answer

Seen = tuple[Picture, ...]
VISUAL = ("image", "video")  # kinds of parts that are looked at
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
    choice = choice_of(engine)
    numbers = np.zeros(len(rows), np.uint32)
    found = decode.answers(engine, params, asked, choice, numbers, "looking")
    by_row = dict(zip(rows, found, strict=True))
    return [by_row[first[name]] for name in names]


def choice_of(engine: Engine) -> decode.Choice:
    """How pictures are described.

    Greedy: a description is a reading of the picture, so no seed matters.
    """
    return decode.Choice(engine.processor.config.memory_length + _MARKS)


def conversation(
    engine: Engine, pictures: Seen, text: str, look: Answer | None = None
) -> decode.Conversation:
    """Pictures, what was said of them if anything, and what is asked now."""
    words: list[dict] = [{"type": "text", "text": text}]
    images: list[dict] = [{"type": one.kind} for one in pictures]
    messages: list[chat.Message] = [{"role": "user", "content": images + words}]
    if look is not None:
        describe = {"type": "text", "text": engine.processor.words.describe}
        messages = [
            {"role": "user", "content": [*images, describe]},
            {"role": "assistant", "content": look.text},
            {"role": "user", "content": words},
        ]
    row = engine.processor.render(messages, **inputs.grids(pictures), answer=True)
    return decode.Conversation(row, pictures)


def shown(engine: Engine, messages: Sequence[chat.Message]) -> list[int]:
    """Numbers of the messages whose pictures are looked at before they are answered.

    None where the model need not look. Pictures without words are described anyway.
    """
    if not engine.processor.words.look_first:
        return []
    return [i for i, message in enumerate(messages) if all(_apart(message))]


def after_looking(
    engine: Engine, messages: Sequence[chat.Message], looks: Mapping[int, str]
) -> list[chat.Message]:
    """The conversation with what was seen in turns of its own, as in training.

    Args:
      looks: what was said of the pictures of each message of `shown`; a message that
        is not in it stays as it is.
    """
    if not engine.processor.words.look_first:
        return list(messages)
    describe = {"type": "text", "text": engine.processor.words.describe}
    made: list[chat.Message] = []
    for i, message in enumerate(messages):
        pictures, words = _apart(message)
        if not pictures or (words and i not in looks):
            made.append(message)
            continue
        made.append({"role": "user", "content": [*pictures, describe]})
        if words:
            made.append({"role": "assistant", "content": looks[i]})
            made.append({"role": "user", "content": words})
    return made


def mentions(messages: Sequence[chat.Message]) -> list[str]:
    """Of what kind the parts are, in order, that pictures or videos are given for."""
    return [part["type"] for one in messages for part in _parts(one) if _visual(part)]


def _apart(message: chat.Message) -> tuple[list[Any], list[Any]]:
    """A user's pictures, and the rest of the content if that says anything."""
    if message.get("role") != "user" or not mentions([message]):
        return [], []
    parts = _parts(message)
    words = [part for part in parts if not _visual(part)]
    says = any(str(part.get("text", "")).strip() for part in words)
    return [part for part in parts if _visual(part)], words if says else []


def _parts(message: chat.Message) -> list[Any]:
    content = message.get("content")
    return list(content) if isinstance(content, list | tuple) else []


def _visual(part: Any) -> bool:
    return isinstance(part, Mapping) and part.get("type") in VISUAL
