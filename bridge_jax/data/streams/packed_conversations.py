"""Conversations of others, as many in a row as fit, each a segment of its own.

    c.streams.main = dict(source="packed_conversations", batch=32, length=8192,
        num_patches=4096, data="llava_v1_5_mix665k.json", images="images")

As `conversations`, packed as `data/records/packed_stream.py` says.
"""

import dataclasses

from bridge_jax.data.records.packed_stream import PackedStream
from bridge_jax.data.streams import conversations


@dataclasses.dataclass(frozen=True)
class Stream(PackedStream, conversations.Stream):
    """Row: as of `conversations`, of several segments."""
