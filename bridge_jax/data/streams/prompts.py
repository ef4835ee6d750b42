"""Stage 2 without pictures: prompts alone, for what the aligner learns from mT5.

    c.streams.semantic = dict(source="prompts", batch=256, length=512,
        data="evaluation_metadata.jsonl")

See `data/forms/prompt.py`. The caption is the language model's where the run has a
cache, else the record's own, else the prompt itself.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from bridge_jax.data import shorten
from bridge_jax.data.cache import wishes
from bridge_jax.data.choices import Choices
from bridge_jax.data.forms import prompt
from bridge_jax.data.records import record_stream
from bridge_jax.data.records.record_stream import Row
from bridge_jax.data.records.rejects import Useless


@dataclasses.dataclass(frozen=True)
class Stream(record_stream.RecordStream):
    """Row: vlm {...}, memory_index/mask (caption tokens), t5_*, bert_*.

    Attributes:
      length: T, of prompt and caption; both are cut at a word.
      captions: see `cache/wishes.py`.
    """

    length: int = 512
    captions: wishes.Captions = wishes.Captions()

    def row(self, where: str, record: Mapping[str, Any], choices: Choices) -> Row:
        made = self.understood(prompt.read, where, record)
        own = self.processor.drawable(made.caption or made.prompt)
        return asked(self, made.prompt, own, where)


def asked(stream: Any, text: str, own: str, where: str) -> Row:
    """Fields of a prompt and of the caption that is written of it.

    Args:
      stream: with a processor, a length and captions.
      own: the caption, unless a cache has the language model's.

    Raises:
      Useless: the caption leaves no room for a prompt.
    """
    look = stream.processor
    wish = shorten.to_tokens(look.llm, text, stream.length)
    caption = stream.captions.of(wishes.Wish(wish), own)
    room = stream.length - len(look.draw("", caption).tokens)
    if room < 1:
        raise Useless("length", f"{where}: no prompt fits beside its caption")
    row = look.draw(shorten.to_tokens(look.llm, text, room), caption)
    fields, _, marked = look.vlm([row], [], stream.length, 0)
    memory_index, memory_mask = look.memory(marked)
    return {
        "vlm": fields,
        "memory_index": memory_index,
        "memory_mask": memory_mask,
        "replaceable": np.bool_(True),
        **look.texts(caption, ""),
    }
