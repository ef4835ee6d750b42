"""Stage 2, generation, from others' pictures: prompt, rewritten caption and picture.

    c.streams.generate = dict(source="generate", batch=256, length=512,
        image_size=512, data="shards/*.tar")

A record's `prompt` is what a user asks for; where it has none, one of its captions is.
What the language model writes is one of the captions, or what it does write, where the
run has a cache. See `data/forms/captioned.py` and `data/cache/wishes.py`.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from bridge_jax.data import images
from bridge_jax.data.cache import wishes
from bridge_jax.data.choices import Choices
from bridge_jax.data.forms import captioned
from bridge_jax.data.records import record_stream
from bridge_jax.data.records.record_stream import Row
from bridge_jax.data.streams import prompts


@dataclasses.dataclass(frozen=True)
class Stream(record_stream.RecordStream):
    """Row: vlm {...}, memory_index/mask (caption tokens), t5_*, bert_*, images.

    BERT reads an empty text: what is drawn must come through the aligner.

    Attributes:
      length: T, of prompt and caption; both are cut at a word.
      image_size: pixels a side; the middle is cut out.
    """

    length: int = 512
    image_size: int = 512
    captions: wishes.Captions = wishes.Captions()

    def row(self, where: str, record: Mapping[str, Any], choices: Choices) -> Row:
        made = self.understood(captioned.read, where, record)
        image = self.opened(made.image, where)
        own = self.processor.drawable(choices.choice(made.captions))
        text = made.prompt or choices.choice(made.captions)
        fields = prompts.asked(self, text, own, where)
        return fields | {"images": images.crop_square(image, self.image_size)}
