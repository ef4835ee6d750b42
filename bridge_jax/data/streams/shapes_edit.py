"""Stage 2, editing: a source picture, the edited picture and its caption."""

import dataclasses

import numpy as np

from bridge_jax.data import processor, shapes_world
from bridge_jax.data.shapes import language, palette
from bridge_jax.data.streams import ENDLESS


@dataclasses.dataclass(frozen=True)
class Stream:
    """Row: vlm {...}, memory_index/mask (image tokens), t5_*, bert_*, images.

    Learned queries never stand in an edit row: the caption's embeddings say what
    changes, the memory shows what was there. Pictures have `image_size` pixels a side.
    """

    processor: processor.Processor
    split: str = "train"
    seed: int = 0
    length: int = 24
    num_patches: int = 64
    image_size: int = palette.IMAGE_SIZE

    def __call__(self, index: int) -> dict[str, np.ndarray]:
        edit = shapes_world.Source(self.split, self.seed, ENDLESS)[index].edit
        caption = language.canonical(edit.target)
        picture = self.processor.look_at(
            shapes_world.render(edit.source, size=self.image_size)
        )
        fields, memory_index, memory_mask = self.processor.seen(
            picture, self.length, self.num_patches
        )
        return {
            "vlm": fields,
            "memory_index": memory_index,
            "memory_mask": memory_mask,
            "replaceable": np.bool_(False),
            "images": shapes_world.render(edit.target, size=self.image_size),
            **self.processor.texts(caption, ""),
        }
