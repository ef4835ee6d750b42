"""Prompts to pictures: the LLM states of a caption, aligned, condition the decoder."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bridge_jax.core.errors import Mistakes
from bridge_jax.core.types import Params
from bridge_jax.data import processor as processor_lib
from bridge_jax.inference import batching, inputs
from bridge_jax.inference import settings as settings_lib
from bridge_jax.inference.drawing import best_of, captions, draw, paint, sizes, watching
from bridge_jax.inference.engine import Engine
from bridge_jax.inference.results import Caption, Drawing
from bridge_jax.inference.settings import Settings


def generate(
    engine: Engine,
    params: Params,
    prompts: Sequence[str],
    images_per_prompt: int,
    choices: Mapping[str, Any],
    previews: watching.Previews | None = None,
    preview_every: int = watching.EVERY,
) -> list[Drawing]:
    """Draw each prompt; see `model.Model.generate`."""
    mistakes, texts = Mistakes(), []
    with mistakes:
        texts = inputs.texts(prompts, "prompt")
    with mistakes:
        inputs.positive(images_per_prompt, "images_per_prompt")
    with mistakes:
        watch = watching.watch(previews, preview_every)
    with mistakes:
        settings = settings_lib.each(choices, len(texts))
        mistakes.add(*sizes.problems(engine, settings))
    if choices.get("strength", 1.0) != 1.0:
        mistakes.add("strength is of edits: what is drawn has no source")
    mistakes.end()
    shared = settings[0]
    engine.need("draw", *paint.PARTS[shared.condition])
    draw.negatives_fit(engine.processor, settings)
    if shared.rewrite:
        engine.need("rewrite prompts", "vlm")
        wanted = captions.rewritten(engine, params, texts)
    else:
        wanted = captions.own(engine.processor, texts)
    best_of.check(engine, wanted, settings)
    rows = Rows(engine.processor, texts, wanted, shared)
    names = [prompt.encode() for prompt in texts]
    numbers = best_of.numbers(names, images_per_prompt, shared.best_of)
    drawn = draw.pictures(engine, params, rows, numbers, settings, watch=watch)
    drawn = best_of.kept(engine, params, drawn, wanted, shared.best_of)
    return [
        Drawing(prompt, caption.text, images, one, caption.note)
        for prompt, caption, images, one in zip(
            texts, wanted, drawn, settings, strict=True
        )
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
