"""Pictures alone, for the autoencoder."""

import dataclasses

import numpy as np

from bridge_jax.data import processor, shapes_world
from bridge_jax.data.choices import Choices
from bridge_jax.data.shapes import palette, scene, splits
from bridge_jax.data.streams import ENDLESS


@dataclasses.dataclass(frozen=True)
class Stream:
    """Row: images [image_size, image_size, 3] uint8.

    Attributes:
      crowded: share of pictures with an object in every place. They show the
        autoencoder three times the detail of a scene, and it need not know the world's
        limit of four; held-out pairs are left out as everywhere in training.
    """

    processor: processor.Processor
    split: str = "train"
    seed: int = 0
    crowded: float = 0.75
    image_size: int = palette.IMAGE_SIZE

    def __call__(self, index: int) -> dict[str, np.ndarray]:
        rng = Choices(self.seed, self.split, index, "images")
        if rng.coin(self.crowded):
            pairs = splits.pairs(self.split)
            chosen = [rng.choice(pairs) for _ in palette.PLACES]
            return {
                "images": shapes_world.render(
                    scene.arrange(rng, chosen), size=self.image_size
                )
            }
        item = shapes_world.Source(self.split, self.seed, ENDLESS)[index]
        return {"images": shapes_world.render(item.scene, size=self.image_size)}
