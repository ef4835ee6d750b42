"""Pictures alone, for the autoencoder."""

import dataclasses

import numpy as np

from bridge_jax.data import processor, shapes_world
from bridge_jax.data.choices import Choices
from bridge_jax.data.shapes import draw, palette, splits, tints
from bridge_jax.data.shapes import scene as scene_lib
from bridge_jax.data.streams import ENDLESS


@dataclasses.dataclass(frozen=True)
class Stream:
    """Row: images [image_size, image_size, 3] uint8.

    Attributes:
      crowded: share of pictures with an object in every place. They show the
        autoencoder three times the detail of a scene, and it need not know the world's
        limit of four; held-out pairs are left out as everywhere in training.
      tinted: share of pictures with all objects in colors that no word is for, of any
        shape, half of them hardly unlike the background: then nothing can be learnt
        of which colors go with which shapes.
    """

    processor: processor.Processor
    split: str = "train"
    seed: int = 0
    crowded: float = 0.75
    tinted: float = 0.0
    image_size: int = palette.IMAGE_SIZE

    def __call__(self, index: int) -> dict[str, np.ndarray]:
        rng = Choices(self.seed, self.split, index, "images")
        scene, given = self._scene(rng, index), {}
        if self.tinted and rng.coin(self.tinted):
            scene, given = tints.tinted(rng, scene)
        return {"images": draw.render(scene, given, self.image_size)}

    def _scene(self, rng: Choices, index: int) -> scene_lib.Scene:
        if not rng.coin(self.crowded):
            return shapes_world.Source(self.split, self.seed, ENDLESS)[index].scene
        pairs = splits.pairs(self.split)
        return scene_lib.arrange(rng, [rng.choice(pairs) for _ in palette.PLACES])
