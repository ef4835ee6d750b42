"""Stage 2, generation: prompt, rewritten caption and picture."""

import dataclasses

import numpy as np

from bridge_jax.data import processor, shapes_world
from bridge_jax.data.cache import wishes
from bridge_jax.data.choices import Choices
from bridge_jax.data.shapes import language, palette
from bridge_jax.data.streams import ENDLESS
from bridge_jax.data.streams.shapes_instruct import draw_pair
from bridge_jax.data.streams.shapes_retrieve import sides


@dataclasses.dataclass(frozen=True)
class Stream:
    """Row: vlm {...}, memory_index/mask (caption tokens), t5_*, bert_*, images.

    BERT reads an empty text: what is drawn must come through the aligner. `varied`
    and `background`: see `shapes_instruct.draw_pair`. Pictures have `image_size` pixels
    a side. With `sides` caption and picture come as retrieval reads them, too, for
    what is drawn to be looked at again. `captions`: see `cache/wishes.py`.
    """

    processor: processor.Processor
    split: str = "train"
    seed: int = 0
    length: int = 104
    image_size: int = palette.IMAGE_SIZE
    varied: bool = False
    background: str | None = None
    sides: bool = False
    image_length: int = 24
    text_length: int = 60
    num_patches: int = 64
    captions: wishes.Captions = wishes.Captions()

    def __call__(self, index: int) -> dict[str, np.ndarray]:
        item = shapes_world.Source(self.split, self.seed, ENDLESS)[index]
        rng = Choices(self.seed, self.split, index, "generate")
        prompt, scene = draw_pair(rng, item, self.varied, self.background)
        caption = self.captions.of(wishes.Wish(prompt), language.canonical(scene))
        row = self.processor.draw(prompt, caption)
        fields, _, marked = self.processor.vlm([row], [], self.length, 0)
        memory_index, memory_mask = self.processor.memory(marked)
        picture = shapes_world.render(scene, size=self.image_size)
        lengths = (self.image_length, self.num_patches, self.text_length)
        looks = sides(self.processor, picture, caption, *lengths) if self.sides else {}
        return {
            **looks,
            "vlm": fields,
            "memory_index": memory_index,
            "memory_mask": memory_mask,
            "replaceable": np.bool_(True),
            "images": picture,
            **self.processor.texts(caption, ""),
        }
