"""Stage 2, editing, from others' pictures before and after a change.

    c.streams.edit = dict(source="edits", batch=256, length=384, num_patches=1296,
        image_size=512, data="magicbrush-*.parquet")

See `data/forms/edit.py`. The decoder reads a caption of the target: the record's own,
or what the language model imagines, where the run has a cache (`data/cache/wishes.py`).
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import images
from bridge_jax.data.cache import wishes
from bridge_jax.data.choices import Choices
from bridge_jax.data.forms import edit
from bridge_jax.data.records import record_stream
from bridge_jax.data.records.record_stream import Row
from bridge_jax.data.records.rejects import Useless


@dataclasses.dataclass(frozen=True)
class Stream(record_stream.RecordStream):
    """Row: vlm {...}, memory_index/mask (image tokens), t5_*, bert_*, images.

    Learned queries never stand in an edit row: the caption's embeddings say what
    changes, the memory shows what was there.

    Attributes:
      length: T.
      num_patches: P, of the source picture.
      image_size: pixels a side; the middle of the target is cut out.
    """

    length: int = 384
    num_patches: int = 1296
    image_size: int = 512
    captions: wishes.Captions = wishes.Captions()

    def row(self, where: str, record: Mapping[str, Any], choices: Choices) -> Row:
        made = self.understood(edit.read, where, record)
        source, target = (self.opened(one, where) for one in (made.source, made.target))
        wish = wishes.Wish(made.instruction, source)
        caption = self.captions.of(wish, self.processor.drawable(made.caption))
        if not caption:
            raise Useless("caption", f"{where}: has no caption of the changed picture")
        try:
            picture = self.processor.look_at(source)
            fields, memory_index, memory_mask = self.processor.seen(
                picture, self.length, self.num_patches
            )
        except BridgeError as error:
            raise Useless("length", f"{where}: {error}") from None
        return {
            "vlm": fields,
            "memory_index": memory_index,
            "memory_mask": memory_mask,
            "replaceable": np.bool_(False),
            "images": images.crop_square(target, self.image_size),
            **self.processor.texts(caption, ""),
        }
