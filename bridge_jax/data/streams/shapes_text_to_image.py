"""Captions and pictures, for the text-conditioned decoder and its text encoders."""

import dataclasses

import numpy as np

from bridge_jax.data import processor, shapes_world
from bridge_jax.data.choices import Choices
from bridge_jax.data.shapes import language, palette, tints
from bridge_jax.data.streams import ENDLESS


@dataclasses.dataclass(frozen=True)
class Stream:
    """Row: images uint8, t5_tokens/mask, bert_tokens/mask.

    Attributes:
      image_size: pixels a side.
      canonical: share of captions in the style that the rewriter writes.
      tagged: share of scenes drawn for a GenEval tag instead of freely.
      drop: share of rows with both texts empty, for classifier-free guidance.
      drop_bert: share of the other rows in which BERT alone reads an empty text, so
        that the mT5 side can carry a picture by itself.
      open_mask: share of rows whose mT5 padding states are shown as well; learned
        queries fill all positions, and the decoder must have seen such inputs.
      tinted: share of pictures in which objects may have colors that no word is for;
        captions leave those out. They teach that any shape may have any color.
      unlike: how far those are from every named color at least, in 8-bit RGB. What is
        almost purple and not called so teaches that purple squares are not purple.
    """

    processor: processor.Processor
    split: str = "train"
    seed: int = 0
    image_size: int = palette.IMAGE_SIZE
    canonical: float = 0.85
    tagged: float = 0.5
    drop: float = 0.1
    drop_bert: float = 0.5
    open_mask: float = 0.5
    tinted: float = 0.0
    unlike: float = tints.UNLIKE_NAMED

    def __post_init__(self):
        tints.check_unlike(self.unlike)

    def __call__(self, index: int) -> dict[str, np.ndarray]:
        item = shapes_world.Source(self.split, self.seed, ENDLESS)[index]
        rng = Choices(self.seed, self.split, index, "text_to_image")
        if self.tinted and rng.coin(self.tinted):
            image, caption = tints.pictured(
                rng, self.split, self.image_size, self.unlike
            )
        else:
            image, caption = self._named(rng, item)
        text = "" if rng.coin(self.drop) else caption
        bert = "" if rng.coin(self.drop_bert) else text
        fields = self.processor.texts(text, bert)
        if rng.coin(self.open_mask):
            fields["t5_mask"] = np.ones_like(fields["t5_mask"])
        return {"images": image, **fields}

    def _named(self, rng: Choices, item: shapes_world.Item) -> tuple[np.ndarray, str]:
        scene = item.rewrite.scene if rng.coin(self.tagged) else item.scene
        style = "canonical"
        if not rng.coin(self.canonical):
            style = rng.choice(list(language.STYLES))
        picture = shapes_world.render(scene, size=self.image_size)
        return picture, language.STYLES[style](scene)
