"""Pictures and instructions to edited pictures.

The LLM imagines the caption of the result. The aligner reads that caption's mT5
embeddings, none replaced by queries, with the LLM's states at the tokens of the source
picture as its memory.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bridge_jax.core.types import Params
from bridge_jax.data import processor as processor_lib
from bridge_jax.inference import batching, captions, inputs, paint
from bridge_jax.inference.engine import Engine
from bridge_jax.inference.inputs import Picture
from bridge_jax.inference.results import Caption, Edited
from bridge_jax.inference.settings import Settings


def edit(
    engine: Engine,
    params: Params,
    images: Sequence[Any],
    instructions: Sequence[str],
    images_per_edit: int,
    settings: Settings,
) -> list[Edited]:
    """Edit each picture; see `model.Model.edit`."""
    instructions = inputs.texts(instructions, "instruction")
    inputs.same_length(images, instructions, "images and instructions")
    inputs.positive(images_per_edit, "images_per_edit")
    engine.need("edit", "vlm", *paint.PARTS[settings.condition])
    sources = inputs.pictures(images, engine.processor)
    wanted = captions.of_edits(engine, params, sources, instructions)
    rows = Rows(engine.processor, sources, wanted, settings)
    names = [
        picture.pixels.tobytes() + text.encode()
        for picture, text in zip(sources, instructions, strict=True)
    ]
    numbers = batching.numbers(names, images_per_edit)
    drawn = paint.pictures(engine, params, rows, numbers, settings, "editing")
    return [
        Edited(text, caption.text, made, settings, caption.note)
        for text, caption, made in zip(instructions, wanted, drawn, strict=True)
    ]


class Rows:
    """Fields of row i for `View`: the same as those of the stage-2 editing stream."""

    def __init__(
        self,
        processor: processor_lib.Processor,
        sources: Sequence[Picture],
        wanted: Sequence[Caption],
        settings: Settings,
    ):
        self.processor, self.settings = processor, settings
        self.sources, self.wanted = sources, wanted
        self.length, self.num_patches = seen_size(processor, sources)

    def __call__(self, i: int) -> dict[str, Any]:
        caption = self.wanted[i].text
        bert = caption if self.settings.bert == "caption" else ""
        vlm, index, mask = self.processor.seen(
            self.sources[i].patches(), self.length, self.num_patches
        )
        return self.processor.texts(caption, bert) | {
            "vlm": vlm,
            "memory_index": index,
            "memory_mask": mask,
            "replaceable": np.bool_(False),
        }


def seen_size(
    processor: processor_lib.Processor, pictures: Sequence[Picture]
) -> tuple[int, int]:
    """Buckets of length and patches in which each of `pictures` fits alone."""
    largest = max(pictures, key=lambda picture: picture.size)
    length = batching.length_bucket(len(processor.look(largest.grid).tokens))
    return length, batching.power_bucket(largest.size, processor.layout.unit)
