"""A text a line, such as a file of prompts: {"prompt": LINE}, without its margins."""

from typing import Any

from bridge_jax.data.sources import bytes_of
from bridge_jax.data.sources.lines import Lines


class Source(Lines):
    """See `lines.Lines`: sixteen bytes of memory a line."""

    def __getitem__(self, index: int) -> tuple[str, dict[str, Any]]:
        where, piece = self.line(index)
        line = bytes_of.text(piece, where).removeprefix("\ufeff")
        return where, {"prompt": line.strip()}
