"""Pictures and instructions to edited pictures.

The LLM imagines the caption of the result. The aligner reads that caption's mT5
embeddings, none replaced by queries, with the LLM's states at the tokens of the source
picture as its memory. Drawing starts from noise, or, at a strength below 1, from the
source under noise (SDEdit, Meng et al. 2022).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bridge_jax.core.errors import Mistakes
from bridge_jax.core.types import Params
from bridge_jax.data import aspects
from bridge_jax.data import images as images_lib
from bridge_jax.data import processor as processor_lib
from bridge_jax.inference import batching, inputs
from bridge_jax.inference import settings as settings_lib
from bridge_jax.inference.drawing import best_of, captions, draw, paint, sizes, watching
from bridge_jax.inference.engine import Engine
from bridge_jax.inference.inputs import Picture
from bridge_jax.inference.results import Caption, Edited
from bridge_jax.inference.settings import Settings

SOURCE = "source"  # the size that follows the source's aspect ratio


def edit(
    engine: Engine,
    params: Params,
    images: Sequence[Any],
    instructions: Sequence[str],
    images_per_edit: int,
    choices: Mapping[str, Any],
    previews: watching.Previews | None = None,
    preview_every: int = watching.EVERY,
) -> list[Edited]:
    """Edit each picture; see `model.Model.edit`."""
    mistakes, texts, sources = Mistakes(), [], []
    with mistakes:
        texts = inputs.texts(instructions, "instruction")
    with mistakes:
        sources = inputs.pictures(images, engine.processor)
    if texts and sources:
        with mistakes:
            inputs.same_length(images, texts, "images and instructions")
    with mistakes:
        inputs.positive(images_per_edit, "images_per_edit")
    with mistakes:
        watch = watching.watch(previews, preview_every)
    with mistakes:
        wanted_size = _sizes(engine, choices.get("size"), images if sources else [])
        given = {**choices, "size": wanted_size}
        settings = settings_lib.each(given, len(texts), bert="caption")
        mistakes.add(*sizes.problems(engine, settings))
    if not choices.get("rewrite", True):
        mistakes.add(
            "an edit cannot do without rewrite: the LLM must imagine the result"
        )
    mistakes.end()
    shared = settings[0]
    engine.need("edit", "vlm", *paint.PARTS[shared.condition])
    draw.negatives_fit(engine.processor, settings)
    wanted = captions.of_edits(engine, params, sources, texts)
    best_of.check(engine, wanted, settings)
    rows = Rows(engine.processor, sources, wanted, shared)
    names = [
        picture.pixels.tobytes() + text.encode()
        for picture, text in zip(sources, texts, strict=True)
    ]
    drawn = draw.pictures(
        engine,
        params,
        rows,
        best_of.numbers(names, images_per_edit, shared.best_of),
        settings,
        sources=_fitted(engine, images, settings) if shared.start else None,
        watch=watch,
        description="editing",
    )
    drawn = best_of.kept(engine, params, drawn, wanted, shared.best_of)
    return [
        Edited(text, caption.text, made, one, caption.note)
        for text, caption, made, one in zip(texts, wanted, drawn, settings, strict=True)
    ]


def _sizes(engine: Engine, asked: Any, images: Sequence[Any]) -> Any:
    """The sizes asked for, each source's own in place of the word."""
    several = asked if isinstance(asked, list | tuple) else [asked] * len(images)
    if SOURCE not in several or len(several) != len(images):
        return asked
    return [
        sizes.like(engine, *images_lib.size_of(image)) if size == SOURCE else size
        for size, image in zip(several, images, strict=True)
    ]


def _fitted(
    engine: Engine, images: Sequence[Any], settings: Sequence[Settings]
) -> list[np.ndarray]:
    """Sources as uint8 [H, W, 3] of the size to draw: scaled, the middle cut out."""
    native = sizes.native(engine)
    return [
        aspects.cut(images_lib.open_image(image), one.size or native)[0]
        for image, one in zip(images, settings, strict=True)
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
        self.length, self.num_patches = _seen_size(processor, sources)

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


def _seen_size(
    processor: processor_lib.Processor, pictures: Sequence[Picture]
) -> tuple[int, int]:
    """Buckets of length and patches in which each of `pictures` fits alone."""
    largest = max(pictures, key=lambda picture: picture.size)
    length = batching.length_bucket(len(processor.look(largest.grid).tokens))
    return length, batching.power_bucket(largest.size, processor.layout.unit)
