"""A text a line, without its margins: {"text": LINE, "prompt": LINE}.

It has both names, since a line is a text to those who learn to write, and a prompt to
those who draw (GenEval's own file is one of JSON lines).
"""

from typing import Any

from bridge_jax.data.sources import bytes_of
from bridge_jax.data.sources.lines import Lines


class Source(Lines):
    """See `lines.Lines`: sixteen bytes of memory a line."""

    def __getitem__(self, index: int) -> tuple[str, dict[str, Any]]:
        where, piece = self.line(index)
        line = bytes_of.text(piece, where).removeprefix("\ufeff")
        said = line.strip()
        return where, {"text": said, "prompt": said}
