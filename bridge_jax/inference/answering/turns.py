"""Whole conversations, turn by turn, with pictures wherever they stand in them."""

from collections.abc import Sequence
from typing import Any

from bridge_jax.core.types import Params
from bridge_jax.data import chat
from bridge_jax.inference import batching, inputs
from bridge_jax.inference.answering import decode, looking
from bridge_jax.inference.engine import Engine
from bridge_jax.inference.results import Answer


def replies(
    engine: Engine,
    params: Params,
    conversations: Sequence[Sequence[chat.Message]],
    images: Sequence[Sequence[Any]],
    choice: decode.Choice,
) -> list[Answer]:
    """What the assistant says next in each conversation, laid out as it is given.

    A model that looks first does so in `Model.chat` alone: here nothing is added.

    Args:
      conversations: messages as of `data/chat.py`.
      images: for each conversation the pictures and videos that it mentions, in order.

    Raises:
      BridgeError: pictures that cannot be read, parts that are none, conversations
        that are too long.
    """
    engine.need("chat", "vlm")
    given = [
        inputs.mentioned(some, looking.mentions(messages))
        for messages, some in zip(conversations, images, strict=True)
    ]
    seen = inputs.grouped(given, engine.processor)
    asked = [
        conversation(engine, messages, pictures)
        for messages, pictures in zip(conversations, seen, strict=True)
    ]
    numbers = batching.numbers([name(one) for one in asked])[:, 0]
    return decode.answers(engine, params, asked, choice, numbers)


def conversation(
    engine: Engine, messages: Sequence[chat.Message], pictures: Sequence[inputs.Picture]
) -> decode.Conversation:
    """Messages and their pictures, rendered, with the assistant's turn opened."""
    row = engine.processor.render(messages, **inputs.grids(pictures), answer=True)
    return decode.Conversation(row, tuple(pictures))


def name(asked: decode.Conversation) -> bytes:
    """What `batching.numbers` tells conversations apart by."""
    pixels = b"".join(picture.pixels.tobytes() for picture in asked.pictures)
    return pixels + asked.row.tokens.tobytes()
