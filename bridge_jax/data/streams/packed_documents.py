"""Documents of others, as many in a row as fit, each a segment of its own.

    c.streams.main = dict(source="packed_documents", batch=32, length=8192,
        num_patches=4096, data="obelics-*.parquet")

As `documents`, packed as `data/records/packed_stream.py` says.
"""

import dataclasses

from bridge_jax.data.records.packed_stream import PackedStream
from bridge_jax.data.streams import documents


@dataclasses.dataclass(frozen=True)
class Stream(PackedStream, documents.Stream):
    """Row: as of `documents`, of several segments."""
