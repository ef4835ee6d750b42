"""Documents of several pictures with words between them, packed, for pretraining."""

import dataclasses

import numpy as np

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import processor, rows, shapes_world
from bridge_jax.data.chat import Row
from bridge_jax.data.choices import Choices
from bridge_jax.data.shapes import language, palette
from bridge_jax.data.streams import ENDLESS


@dataclasses.dataclass(frozen=True)
class Stream:
    """Row: vlm {...}, targets [T], loss_mask [T]: each word, none of the pictures.

    Attributes:
      length: T; documents are packed until the next one does not fit.
      num_patches: P, of all their pictures together.
      image_size: pixels a side.
      pictures: most pictures a document has.
      before: share of pictures that come after their text.
    """

    processor: processor.Processor
    split: str = "train"
    seed: int = 0
    length: int = 288
    num_patches: int = 256
    image_size: int = palette.IMAGE_SIZE
    pictures: int = 3
    before: float = 0.3

    def __call__(self, index: int) -> dict[str, np.ndarray]:
        rng = Choices(self.seed, self.split, index, "interleaved")
        packed: list[Row] = []
        seen: list[rows.Picture] = []
        while True:
            row, pictures = self._document(rng)
            used = sum(len(one.tokens) for one in [*packed, row])
            patches = sum(len(one[0]) for one in [*seen, *pictures])
            if used > self.length or patches > self.num_patches:
                break
            packed.append(row)
            seen += pictures
        if not packed:
            raise BridgeError(
                f"a document of {len(row.tokens)} tokens and {patches} patches does not"
                f" fit into {self.length} and {self.num_patches}: give the stream a"
                " greater length and num_patches, or fewer pictures"
            )
        fields, response, _ = self.processor.vlm(
            packed, seen, self.length, self.num_patches
        )
        return {"vlm": fields, "targets": fields["tokens"], "loss_mask": response}

    def _document(self, rng: Choices) -> tuple[Row, list[rows.Picture]]:
        """One to `pictures` pictures, each with a text before or behind it."""
        source = shapes_world.Source(self.split, self.seed, ENDLESS)
        parts, pictures = [], []
        for _ in range(1 + rng.below(self.pictures)):
            item = source[rng.below(ENDLESS)]
            style = language.STYLES[rng.choice(list(language.STYLES))]
            text = {"type": "text", "text": f"{style(item.scene)}\n"}
            pictures.append(
                self.processor.look_at(
                    shapes_world.render(item.scene, size=self.image_size)
                )
            )
            picture = {"type": "image"}
            parts += [text, picture] if rng.coin(self.before) else [picture, text]
        return self.processor.document(parts, [grid for _, grid in pictures]), pictures
