"""How well the model foretells texts: perplexity and bits per byte.

    {"text": "It was a dark and stormy night."}
    {"messages": [...], "images": ["a.jpg"]}        see `data/forms/conversation.py`

A text is read as it stands, after <|endoftext|>, in windows of the context where it is
longer (`inference/answering/likelihood.py`); of a conversation the assistant's words
count.

    perplexity      exp(-sum of log p / number of tokens), over the tokens of all items
    bits_per_byte   -sum of log2 p / bytes in UTF-8: comparable between tokenizers
"""

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import faults, fields
from bridge_jax.data.faults import Faults
from bridge_jax.data.forms import conversation
from bridge_jax.data.forms.conversation import Conversation
from bridge_jax.eval.options import Options
from bridge_jax.eval.outside import answer_files
from bridge_jax.eval.outside.shards import WHOLE, Shard
from bridge_jax.eval.system import System


@dataclasses.dataclass(frozen=True)
class Item:
    """A line of the file: a text, or a conversation."""

    text: str
    conversation: Conversation | None
    key: str

    @property
    def bytes(self) -> int:
        """Of what counts."""
        words = self.conversation.replies if self.conversation else self.text
        return len(words.encode())


class Benchmark:
    """See the module's text.

    Raises:
      BridgeError: every line that is not as promised, all at once.
    """

    def __init__(self, data: Path):
        found, data = Faults(), Path(data)
        lines = faults.json_lines(data, found)
        self.items = [_item(r, data.parent, where, found) for where, r in lines]
        found.stop()

    def check(self, scorer: str | None) -> None:
        """Raises BridgeError if a scorer is named: there is one way to count."""
        if scorer is not None:
            raise BridgeError(f"perplexity takes no --scorer, not {scorer} either")

    def answer(
        self, model: System, folder: Path, options: Options, shard: Shard = WHOLE
    ) -> None:
        """Let the model read; answers_I_of_N.jsonl holds log_probability, tokens."""

        def read(items: list[Item]) -> list[dict[str, Any]]:
            found: dict[int, tuple[float, int]] = {}
            texts = [i for i, item in enumerate(items) if not item.conversation]
            chats = [i for i, item in enumerate(items) if item.conversation]
            if texts:
                words = [items[i].text for i in texts]
                made = model.likelihood([None] * len(words), words)
                found |= dict(zip(texts, made, strict=True))
            if chats:
                shown = [items[i].conversation for i in chats]
                made = model.likelihood_of_replies(
                    [one.messages for one in shown],
                    [fields.open_pictures(one.images) for one in shown],
                )
                found |= dict(zip(chats, made, strict=True))
            return [
                {"log_probability": found[i][0], "tokens": found[i][1]}
                for i in range(len(items))
            ]

        answer_files.write(folder, shard, self.items, read, options.batch, "texts")

    def score(self, folder: Path, scorer: str | None = None) -> dict[str, float]:
        """perplexity, bits_per_byte and how many tokens they are over.

        Raises:
          BridgeError: a scorer is named; items that are missing or doubled.
        """
        self.check(scorer)
        found = answer_files.read(folder, self.items)
        total = math.fsum(record["log_probability"] for record in found)
        tokens = sum(record["tokens"] for record in found)
        size = sum(item.bytes for item in self.items)
        return {
            "perplexity": math.exp(-total / tokens),
            "bits_per_byte": -total / math.log(2) / size,
            "tokens": float(tokens),
        }


def _item(record: Mapping[str, Any], home: Path, where: str, found: Faults) -> Item:
    key = answer_files.key_of(record)
    if "text" in record:
        return Item(fields.word(record, "text", where, found), None, key)
    made = conversation.read(record, [home], where, found)
    if made.videos:
        found.add(where, "has videos, and perplexity is of text and pictures alone")
    return Item("", made, key)
