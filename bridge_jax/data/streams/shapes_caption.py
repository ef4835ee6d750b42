"""Pictures with their captions, for pretraining the vision-language model."""

import dataclasses

import numpy as np

from bridge_jax.data import processor, shapes_world, slips
from bridge_jax.data.choices import Choices
from bridge_jax.data.shapes import language, palette, tints
from bridge_jax.data.streams import ENDLESS

NAMELESS = "Describe the shapes."


@dataclasses.dataclass(frozen=True)
class Stream:
    """Row: vlm {...}, loss_mask [T], targets [T].

    Attributes:
      length: T.
      num_patches: P.
      image_size: pixels a side.
      tinted: share of pictures in which objects may have colors that no word is for;
        captions leave those out. They teach shapes apart from colors.
      apart: those are asked for in words of their own, so that what is said when a
        description is asked for never leaves a color out.
      slips: share of color words that are misread, see `data/slips.py`.
    """

    processor: processor.Processor
    split: str = "train"
    seed: int = 0
    length: int = 72
    num_patches: int = 64
    image_size: int = palette.IMAGE_SIZE
    tinted: float = 0.0
    apart: bool = False
    slips: float = 0.0

    def __call__(self, index: int) -> dict[str, np.ndarray]:
        item = shapes_world.Source(self.split, self.seed, ENDLESS)[index]
        rng = Choices(self.seed, self.split, index, "caption")
        tinted = bool(self.tinted) and rng.coin(self.tinted)
        if tinted:
            image, caption = tints.pictured(rng, self.split, self.image_size)
        else:
            scene = item.rewrite.scene if rng.coin(0.2) else item.scene
            image, caption = (
                shapes_world.render(scene, size=self.image_size),
                language.canonical(scene),
            )
        picture = self.processor.look_at(image)
        if tinted and self.apart:
            row = self.processor.ask(NAMELESS, caption, picture[1])
        else:
            row = self.processor.describe(caption, picture[1])
        fields, response, _ = self.processor.vlm(
            [row], [picture], self.length, self.num_patches
        )
        targets = fields["tokens"]
        if self.slips:
            fields["tokens"] = slips.slipped(
                self.processor.llm, rng, targets, response, self.slips
            )
        return {"vlm": fields, "loss_mask": response, "targets": targets}
