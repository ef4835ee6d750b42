"""Streams: one file turns an index into one row of arrays for one kind of training.

`c.streams.NAME = dict(source="shapes_instruct", batch=64, ...)` loads
`bridge_jax/data/streams/shapes_instruct.py` and makes its `Stream`, a frozen dataclass
called with an index. Row i is a pure function of (settings, i).
"""

ENDLESS = 1 << 40  # rows: the world has no last item
