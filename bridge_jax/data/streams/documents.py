"""Texts of others with pictures between their words, to be learnt word by word.

    c.streams.main = dict(source="documents", batch=128, length=2048,
        num_patches=576, data="obelics-*.parquet")

See `data/forms/document.py`; a picture with a caption is one, too. `packed_documents`
puts several into a row, which is what pretraining wants.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from bridge_jax.data import chat
from bridge_jax.data.forms import document
from bridge_jax.data.records import segment_stream
from bridge_jax.data.records.rejects import Useless
from bridge_jax.data.records.segment_stream import Grids


@dataclasses.dataclass(frozen=True)
class Stream(segment_stream.SegmentStream):
    """Row: vlm {...}, targets [T], loss_mask [T]: each word, none of the pictures."""

    def read(self, where: str, record: Mapping[str, Any]) -> document.Document:
        return self.understood(document.read, where, record)

    def fitted(self, made: document.Document, grids: Grids, where: str) -> chat.Row:
        size = sum(len(part.get("text", "")) for part in made.parts)
        if size <= segment_stream.CHARACTERS * self.length:
            row = self.processor.document(made.parts, grids["image"])
            if len(row.tokens) <= self.length:
                return row
        raise Useless("length", f"{where}: it does not fit into {self.length} tokens")
