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

import numpy as np

from bridge_jax.data import images, record_stream, shorten
from bridge_jax.data.cache import wishes
from bridge_jax.data.forms import captioned
from bridge_jax.data.record_stream import Row
from bridge_jax.data.rejects import Useless
from bridge_jax.data.shapes.stream import Stream as Choices


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
        asked = made.prompt or choices.choice(made.captions)
        wish = shorten.to_tokens(self.processor.llm, asked, self.length)
        caption = self.captions.of(wishes.Wish(wish), own)
        room = self.length - len(self.processor.draw("", caption).tokens)
        if room < 1:
            raise Useless("length", f"{where}: no prompt fits beside its caption")
        prompt = shorten.to_tokens(self.processor.llm, asked, room)
        row = self.processor.draw(prompt, caption)
        fields, _, marked = self.processor.vlm([row], [], self.length, 0)
        memory_index, memory_mask = self.processor.memory(marked)
        return {
            "vlm": fields,
            "memory_index": memory_index,
            "memory_mask": memory_mask,
            "replaceable": np.bool_(True),
            "images": images.crop_square(image, self.image_size),
            **self.processor.texts(caption, ""),
        }
