"""Text that a command writes into a page, between two marks."""

from pathlib import Path

from bridge_jax.core.errors import BridgeError


def insert(page: Path, name: str, text: str) -> str:
    """The content of `page` with `text` between <!-- name --> and <!-- /name -->.

    Raises:
      BridgeError: the page cannot be read or has no such marks.
    """
    before, _, after = _parts(page, name)
    return f"{before}<!-- {name} -->\n\n{text}\n\n<!-- /{name} -->{after}"


def between(page: Path, name: str) -> str:
    """What stands between the marks of `page` now. Raises as `insert`."""
    return _parts(page, name)[1].strip()


def _parts(page: Path, name: str) -> tuple[str, str, str]:
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    try:
        content = page.read_text(encoding="utf-8")
    except OSError as error:
        raise BridgeError(f"cannot read {page}: {error.strerror}") from None
    if content.count(begin) != 1 or content.count(end) != 1:
        raise BridgeError(f"{page} needs the marks {begin} and {end}, once each")
    before, rest = content.split(begin)
    inside, after = rest.split(end)
    return before, inside, after
