"""Captions and pictures of others, for the text-conditioned decoder.

    c.streams.main = dict(source="text_to_image", batch=512, image_size=512,
        data="shards/*.tar")

See `data/forms/captioned.py`. Of several captions one is chosen each time.
`text_to_image_aspects` keeps pictures in about their aspect ratio.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from bridge_jax.data import images
from bridge_jax.data.choices import Choices
from bridge_jax.data.forms import captioned
from bridge_jax.data.records import record_stream
from bridge_jax.data.records.record_stream import Row


@dataclasses.dataclass(frozen=True)
class Stream(record_stream.RecordStream):
    """Row: images uint8 [image_size, image_size, 3], t5_tokens/mask, bert_tokens/mask.

    Attributes:
      image_size: pixels a side; the middle is cut out.
      drop: share of rows with both texts empty, for classifier-free guidance.
      drop_bert: share of the other rows in which BERT alone reads an empty text.
    """

    image_size: int = 512
    drop: float = 0.1
    drop_bert: float = 0.0

    def row(self, where: str, record: Mapping[str, Any], choices: Choices) -> Row:
        made = self.understood(captioned.read, where, record)
        image = self.opened(made.image, where)
        square = images.crop_square(image, self.image_size)
        return {"images": square, **self.words(made, choices)}

    def words(self, made: captioned.Captioned, choices: Choices) -> Row:
        """Fields of a caption, for mT5 and BERT."""
        said = choices.choice(made.captions)
        text = "" if choices.coin(self.drop) else said
        bert = "" if choices.coin(self.drop_bert) else text
        return self.processor.texts(text, bert)
