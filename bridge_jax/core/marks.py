"""Text that a command writes into a page, between two marks."""

from pathlib import Path

from bridge_jax.core.errors import BridgeError


def insert(page: Path, name: str, text: str) -> str:
    """The content of `page` with `text` between <!-- name --> and <!-- /name -->.

    Raises:
      BridgeError: the page cannot be read or has no such marks.
    """
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    try:
        content = page.read_text(encoding="utf-8")
    except OSError as error:
        raise BridgeError(f"cannot read {page}: {error.strerror}") from None
    if content.count(begin) != 1 or content.count(end) != 1:
        raise BridgeError(f"{page} needs the marks {begin} and {end}, once each")
    before, rest = content.split(begin)
    _, after = rest.split(end)
    return f"{before}{begin}\n\n{text}\n\n{end}{after}"


def between(content: str, name: str) -> str:
    """What stands between the marks, without space around it."""
    _, rest = content.split(f"<!-- {name} -->")
    return rest.split(f"<!-- /{name} -->")[0].strip()
