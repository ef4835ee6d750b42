"""Stage 2, retrieval: others' pictures and captions, each read by itself.

    c.streams.retrieve = dict(source="retrieve", batch=512, image_length=384,
        text_length=128, num_patches=1296, data="dataset_coco.json", images="coco")

Captions are cut at a word where they are too long. See `data/forms/captioned.py`.
"""

import dataclasses
import os
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import shorten
from bridge_jax.data.choices import Choices
from bridge_jax.data.forms import captioned
from bridge_jax.data.images import Source
from bridge_jax.data.records import record_stream
from bridge_jax.data.records.record_stream import Row
from bridge_jax.data.records.rejects import Useless
from bridge_jax.data.streams.shapes_retrieve import sides


@dataclasses.dataclass(frozen=True)
class Stream(record_stream.RecordStream):
    """Row: vlm_image {...}, image_index/mask, vlm_text {...}, text_index/mask, ids.

    Attributes:
      repeat: share of rows that show the previous row's picture with one of its
        captions, so that text->text positives exist.
    """

    image_length: int = 384
    text_length: int = 128
    num_patches: int = 1296
    repeat: float = 0.1

    def __call__(self, index: int) -> Row:
        choices = self.choices(index)
        again = index > 0 and choices.coin(self.repeat)
        return self.of(index - 1 if again else index, choices)

    def row(self, where: str, record: Mapping[str, Any], choices: Choices) -> Row:
        made = self.understood(captioned.read, where, record)
        image = self.opened(made.image, where)
        around = len(self.processor.say("").tokens)
        said = shorten.to_tokens(
            self.processor.llm, choices.choice(made.captions), self.text_length - around
        )
        try:
            lengths = (self.image_length, self.num_patches, self.text_length)
            read = sides(self.processor, image, said, *lengths)
        except BridgeError as error:
            raise Useless("length", f"{where}: {error}") from None
        # The same picture in two records is one picture: never negatives.
        return {**read, "ids": np.int32(_number(made.image, where))}


def _number(picture: Source, where: str) -> int:
    if isinstance(picture, os.PathLike):
        name = os.fspath(picture).encode()
    else:
        name = picture if isinstance(picture, bytes) else where.encode()
    return zlib.crc32(name) & 0x7FFFFFFF
