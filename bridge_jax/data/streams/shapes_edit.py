"""Stage 2, editing: a source picture, the edited picture and its caption."""

import dataclasses

import numpy as np

from bridge_jax.data import processor, shapes_world
from bridge_jax.data.cache import wishes
from bridge_jax.data.shapes import language, palette
from bridge_jax.data.streams import ENDLESS


@dataclasses.dataclass(frozen=True)
class Stream:
    """Row: vlm {...}, memory_index/mask (image tokens), t5_*, bert_*, images.

    Learned queries never stand in an edit row: the caption's embeddings say what
    changes, the memory shows what was there. Pictures have `image_size` pixels a side.
    `captions`: see `cache/wishes.py`.
    """

    processor: processor.Processor
    split: str = "train"
    seed: int = 0
    length: int = 24
    num_patches: int = 64
    image_size: int = palette.IMAGE_SIZE
    captions: wishes.Captions = wishes.Captions()

    def __call__(self, index: int) -> dict[str, np.ndarray]:
        edit = shapes_world.Source(self.split, self.seed, ENDLESS)[index].edit
        source = shapes_world.render(edit.source, size=self.image_size)
        wish = wishes.Wish(edit.instruction, source)
        caption = self.captions.of(wish, language.canonical(edit.target))
        picture = self.processor.look_at(source)
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
