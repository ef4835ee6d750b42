"""Prompts to pictures: the LLM states of a caption, aligned, condition the decoder."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bridge_jax.core.types import Params
from bridge_jax.data import processor as processor_lib
from bridge_jax.inference import batching, captions, inputs, paint
from bridge_jax.inference.engine import Engine
from bridge_jax.inference.results import Caption, Drawing
from bridge_jax.inference.settings import Settings


def generate(
    engine: Engine,
    params: Params,
    prompts: Sequence[str],
    images_per_prompt: int,
    settings: Settings,
) -> list[Drawing]:
    """Draw each prompt; see `model.Model.generate`."""
    prompts = inputs.texts(prompts, "prompt")
    inputs.positive(images_per_prompt, "images_per_prompt")
    engine.need("draw", *paint.PARTS[settings.condition])
    if settings.rewrite:
        engine.need("rewrite prompts", "vlm")
        wanted = captions.rewritten(engine, params, prompts)
    else:
        wanted = captions.own(engine.processor, prompts)
    rows = Rows(engine.processor, prompts, wanted, settings)
    names = [prompt.encode() for prompt in prompts]
    numbers = batching.numbers(names, images_per_prompt)
    drawn = paint.pictures(engine, params, rows, numbers, settings)
    return [
        Drawing(prompt, caption.text, images, settings, caption.note)
        for prompt, caption, images in zip(prompts, wanted, drawn, strict=True)
    ]


class Rows:
    """Fields of row i for `View`: the same as those of the stage-2 generation stream.

    The states come out of one causal pass over prompt and caption, and so equal those
    of decoding the caption token by token.
    """

    def __init__(
        self,
        processor: processor_lib.Processor,
        prompts: Sequence[str],
        wanted: Sequence[Caption],
        settings: Settings,
    ):
        self.processor, self.settings, self.wanted = processor, settings, wanted
        self.conversations = None
        if settings.condition == "queries":
            pairs = zip(prompts, wanted, strict=True)
            self.conversations = [processor.draw(p, c.text) for p, c in pairs]
            longest = max(len(row.tokens) for row in self.conversations)
            self.length = batching.length_bucket(longest)

    def __call__(self, i: int) -> dict[str, Any]:
        caption = self.wanted[i].text
        bert = caption if self.settings.bert == "caption" else ""
        fields = self.processor.texts(caption, bert)
        if self.conversations is None:
            return fields
        vlm, _, marked = self.processor.vlm([self.conversations[i]], [], self.length, 0)
        index, mask = self.processor.memory(marked)
        return fields | {
            "vlm": vlm,
            "memory_index": index,
            "memory_mask": mask,
            "replaceable": np.bool_(True),
        }
