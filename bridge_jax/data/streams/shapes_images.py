"""Pictures alone, for the autoencoder."""

import dataclasses

import numpy as np

from bridge_jax.data import processor, shapes_world
from bridge_jax.data.streams import ENDLESS


@dataclasses.dataclass(frozen=True)
class Stream:
    """Row: images [64, 64, 3] uint8."""

    processor: processor.Processor
    split: str = "train"
    seed: int = 0

    def __call__(self, index: int) -> dict[str, np.ndarray]:
        item = shapes_world.Source(self.split, self.seed, ENDLESS)[index]
        return {"images": item.image}
