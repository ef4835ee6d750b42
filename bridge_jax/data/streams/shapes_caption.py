"""Pictures with their captions, for pretraining the vision-language model."""

import dataclasses

import numpy as np

from bridge_jax.data import processor, shapes_world, slips
from bridge_jax.data.choices import Choices
from bridge_jax.data.shapes import draw, language, palette, splits
from bridge_jax.data.shapes import scene as scene_lib
from bridge_jax.data.streams import ENDLESS

NAMELESS = "Describe the shapes."
# A color without a name is this far from every named one; those are 80 apart.
UNLIKE_NAMED, UNLIKE_BACKGROUND = 40, 80


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
            image, caption = _tinted(rng, self.split, self.image_size)
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


def _tinted(
    rng: Choices, split: str, size: int = palette.IMAGE_SIZE
) -> tuple[np.ndarray, str]:
    """A picture with colors that have no name, and its caption without them.

    Which color an object would have had says nothing then, so any shape may be tinted;
    objects that keep their color form pairs of the split.
    """
    pairs = [rng.choice(splits.pairs(split)) for _ in range(1 + rng.below(4))]
    scene = scene_lib.arrange(rng, pairs)
    tints, nameless = {}, set()
    for number, _ in enumerate(scene.objects):
        if rng.coin(0.6):
            tints[number] = _tint(rng, scene.background)
            nameless.add(number)
        elif rng.coin(0.25):
            nameless.add(number)
    shapes = [
        dataclasses.replace(one, shape=rng.choice(palette.SHAPES))
        if number in tints
        else one
        for number, one in enumerate(scene.objects)
    ]
    scene = scene_lib.Scene(scene.background, tuple(shapes))
    return draw.render(scene, tints, size), language.canonical(scene, nameless)


def _tint(rng: Choices, background: str) -> draw.Tint:
    named = np.array(list(palette.COLORS.values()))
    behind = np.array(palette.BACKGROUNDS[background])
    while True:
        tint = tuple(rng.below(256) for _ in range(3))
        far = np.linalg.norm(named - tint, axis=1).min() >= UNLIKE_NAMED
        if far and np.linalg.norm(behind - tint) >= UNLIKE_BACKGROUND:
            return tint
