"""A JSON object a line; empty lines are passed over."""

from typing import Any

from bridge_jax.data.sources import bytes_of
from bridge_jax.data.sources.lines import Lines


class Source(Lines):
    """See `lines.Lines`: sixteen bytes of memory a line."""

    def __getitem__(self, index: int) -> tuple[str, dict[str, Any]]:
        where, piece = self.line(index)
        return where, bytes_of.parsed(piece, where)
