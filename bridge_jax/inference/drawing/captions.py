"""What is to be drawn: captions written by the LLM, or the user's own words."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bridge_jax.core.errors import BridgeError
from bridge_jax.core.types import Params
from bridge_jax.data import chat, text_encoding
from bridge_jax.data import processor as processor_lib
from bridge_jax.inference.answering import decode, looking
from bridge_jax.inference.engine import Engine
from bridge_jax.inference.inputs import Picture
from bridge_jax.inference.results import Caption

_MARKS = 16  # tokens for <img>, </img> and the end, even where marks are letters
_REASONS = 48  # tokens for what a reply may say before its caption


def rewritten(
    engine: Engine,
    params: Params,
    prompts: Sequence[str],
    answers: decode.Answers = decode.answers,
) -> list[Caption]:
    """The LLM's captions of what `prompts` ask for."""
    processor = engine.processor
    rows = [decode.Conversation(processor.draw(text, None)) for text in prompts]
    return _written(engine, params, rows, prompts, "rewriting", answers)


def of_edits(
    engine: Engine,
    params: Params,
    pictures: Sequence[Picture],
    instructions: Sequence[str],
    answers: decode.Answers = decode.answers,
) -> list[Caption]:
    """The LLM's captions of `pictures` after the edits."""
    wish = engine.processor.words.edit
    texts = [wish.format(instruction=text) for text in instructions]
    seen = [(picture,) for picture in pictures]
    rows = looking.conversations(engine, params, seen, texts)
    return _written(engine, params, rows, instructions, "imagining", answers)


def of_pictures(
    engine: Engine, params: Params, pictures: Sequence[Picture]
) -> list[str]:
    """The LLM's descriptions, as far as they can be drawn; "" where it says nothing."""
    found = looking.descriptions(engine, params, [(one,) for one in pictures])
    return [engine.processor.drawable(answer.text.strip()) for answer in found]


def own(processor: processor_lib.Processor, prompts: Sequence[str]) -> list[Caption]:
    """The prompts themselves. Raises BridgeError for those that are too long."""
    most = processor.config.memory_length
    sizes = [len(ids) for ids in processor.llm.encode_texts(prompts)]
    long = [f"prompt {i} has {n}" for i, n in enumerate(sizes) if n > most]
    if long:
        raise BridgeError(
            f"a caption has at most {most} tokens: {'; '.join(long[:5])}; shorten it, "
            "or let the model rewrite it"
        )
    # The text encoder's own tokens are counted apart, and by it.
    text_encoding.encode(
        processor.mt5, prompts, processor.config.t5_length, strict=True
    )
    return [Caption(text) for text in prompts]


def choice_of(processor: processor_lib.Processor) -> decode.Choice:
    """How captions are decoded.

    Greedy: a caption is a reading of the wish, not an invention. So no seed matters.
    """
    return decode.Choice(processor.config.memory_length + _MARKS + _REASONS)


def decoding(processor: processor_lib.Processor) -> dict[str, Any]:
    """What a cache of captions remembers of how they were decoded."""
    return {"choice": "greedy", "max_new_tokens": choice_of(processor).max_new_tokens}


def _written(
    engine: Engine,
    params: Params,
    conversations: Sequence[decode.Conversation],
    wishes: Sequence[str],
    description: str,
    answers: decode.Answers,
) -> list[Caption]:
    choice = choice_of(engine.processor)
    numbers = np.zeros(len(conversations), np.uint32)
    found = answers(engine, params, conversations, choice, numbers, description)
    return [
        _caption(engine.processor, answer.tokens, wish)
        for answer, wish in zip(found, wishes, strict=True)
    ]


def _caption(
    processor: processor_lib.Processor, tokens: np.ndarray, wish: str
) -> Caption:
    text, note = chat.caption_text(processor.llm, tokens), ""
    if not text:
        text, note = wish, "the model wrote no caption: the request itself is drawn"
    short = processor.drawable(text)
    if short != text:
        note = "; ".join([*([note] if note else []), "the caption was cut short"])
    return Caption(short, note)
