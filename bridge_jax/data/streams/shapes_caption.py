"""Pictures with their captions, for pretraining the vision-language model."""

import dataclasses

import numpy as np

from bridge_jax.data import processor, shapes_world
from bridge_jax.data.shapes import language
from bridge_jax.data.shapes.stream import Stream as Choices
from bridge_jax.data.streams import ENDLESS


@dataclasses.dataclass(frozen=True)
class Stream:
    """Row: vlm {...}, loss_mask [T].

    Attributes:
      length: T.
      num_patches: P.
    """

    processor: processor.Processor
    split: str = "train"
    seed: int = 0
    length: int = 72
    num_patches: int = 64

    def __call__(self, index: int) -> dict[str, np.ndarray]:
        item = shapes_world.Source(self.split, self.seed, ENDLESS)[index]
        rng = Choices(self.seed, self.split, index, "caption")
        scene = item.rewrite.scene if rng.coin(0.2) else item.scene
        picture = self.processor.look_at(shapes_world.render(scene))
        row = self.processor.describe(language.canonical(scene), picture[1])
        fields, response, _ = self.processor.vlm(
            [row], [picture], self.length, self.num_patches
        )
        return {"vlm": fields, "loss_mask": response}
