"""Stage 2, retrieval: a picture and a caption of it, each read by itself."""

import dataclasses
import zlib

import numpy as np

from bridge_jax.data import processor, shapes_world
from bridge_jax.data.choices import Choices
from bridge_jax.data.shapes import language, palette
from bridge_jax.data.streams import ENDLESS
from bridge_jax.data.streams.shapes_embeddings import embeddings


@dataclasses.dataclass(frozen=True)
class Stream:
    """Row: vlm_image {...}, image_index/mask, vlm_text {...}, text_index/mask, ids.

    Attributes:
      image_size: pixels a side.
      canonical: share of captions in canonical style; the others fix the scene too.
      repeat: share of rows that show the previous row's scene in other words, so that
        text->text positives exist.
      frozen: width of a frozen model's embeddings `text` and `image` of the scene,
        which LatentUMM's target term wants; 0 for none.
    """

    processor: processor.Processor
    split: str = "train"
    seed: int = 0
    image_length: int = 24
    text_length: int = 60
    num_patches: int = 64
    image_size: int = palette.IMAGE_SIZE
    canonical: float = 0.6
    repeat: float = 0.1
    frozen: int = 0

    def __call__(self, index: int) -> dict[str, np.ndarray]:
        rng = Choices(self.seed, self.split, index, "retrieve")
        shown = index - 1 if index and rng.coin(self.repeat) else index
        item = shapes_world.Source(self.split, self.seed, ENDLESS)[shown]
        picture = shapes_world.render(item.scene, size=self.image_size)
        style = "canonical"
        if not rng.coin(self.canonical):
            style = rng.choice(language.FULL_STYLES)
        words = language.STYLES[style](item.scene)
        lengths = (self.image_length, self.num_patches, self.text_length)
        name = language.canonical(item.scene).encode()
        frozen = embeddings(item.scene, self.frozen) if self.frozen else {}
        return {
            **frozen,
            **sides(self.processor, picture, words, *lengths),
            # Equal scenes are one image, whatever their jitter: never negatives.
            "ids": np.int32(zlib.crc32(name) & 0x7FFFFFFF),
        }


def sides(
    look: processor.Processor,
    picture: np.ndarray,
    words: str,
    image_length: int,
    num_patches: int,
    text_length: int,
) -> dict[str, np.ndarray]:
    """A picture and words, each read by itself: vlm_image, vlm_text and their masks."""
    vlm_image, image_index, image_mask = look.seen(
        look.look_at(picture), image_length, num_patches
    )
    vlm_text, _, marked = look.vlm([look.say(words)], [], text_length, 0)
    text_index, text_mask = look.memory(marked, text_length)
    return {
        "vlm_image": vlm_image,
        "image_index": image_index,
        "image_mask": image_mask,
        "vlm_text": vlm_text,
        "text_index": text_index,
        "text_mask": text_mask,
    }
