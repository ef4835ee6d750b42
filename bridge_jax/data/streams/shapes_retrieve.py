"""Stage 2, retrieval: a picture and a caption of it, each read by itself."""

import dataclasses
import zlib

import numpy as np

from bridge_jax.data import processor, shapes_world
from bridge_jax.data.choices import Choices
from bridge_jax.data.shapes import edits, language, palette
from bridge_jax.data.shapes.scene import Scene
from bridge_jax.data.streams import ENDLESS
from bridge_jax.data.streams.shapes_embeddings import embeddings

CHANGED = ("recolour", "replace", "move")  # what leaves the number of objects


@dataclasses.dataclass(frozen=True)
class Stream:
    """Row: vlm_image {...}, image_index/mask, vlm_text {...}, text_index/mask, ids.

    Attributes:
      image_size: pixels a side.
      canonical: share of captions in canonical style; the others fix the scene too.
      repeat: share of rows that show the previous row's scene in other words, so that
        text->text positives exist.
      near: share of the others that show the previous row's scene with one thing
        changed, half of the time the background: the negatives that are hardest to
        tell apart, and that chance hardly ever puts into one batch.
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
    near: float = 0.0
    frozen: int = 0

    def __call__(self, index: int) -> dict[str, np.ndarray]:
        rng = Choices(self.seed, self.split, index, "retrieve")
        scene = self._scene(index, rng)
        picture = shapes_world.render(scene, size=self.image_size)
        style = "canonical"
        if not rng.coin(self.canonical):
            style = rng.choice(language.FULL_STYLES)
        words = language.STYLES[style](scene)
        lengths = (self.image_length, self.num_patches, self.text_length)
        name = language.canonical(scene).encode()
        frozen = embeddings(scene, self.frozen) if self.frozen else {}
        return {
            **frozen,
            **sides(self.processor, picture, words, *lengths),
            # Equal scenes are one image, whatever their jitter: never negatives.
            "ids": np.int32(zlib.crc32(name) & 0x7FFFFFFF),
        }

    def _scene(self, index: int, rng: Choices) -> Scene:
        source = shapes_world.Source(self.split, self.seed, ENDLESS)
        if index and rng.coin(self.repeat):
            return source[index - 1].scene
        if index and self.near and rng.coin(self.near):
            kind = "background" if rng.coin() else rng.choice(CHANGED)
            edit = edits.of(rng, source[index - 1].scene, self.split, kind)
            if edit is not None:
                return edit.target
        return source[index].scene


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
