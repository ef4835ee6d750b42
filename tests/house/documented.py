"""Every `bridge ...` command that the README and docstrings show."""

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
FENCE = re.compile(r"^```bash\n(.*?)^```", re.MULTILINE | re.DOTALL)


def commands() -> list[tuple[str, tuple[str, ...]]]:
    """(where it stands, its words without "bridge"), everything, in order."""
    found = [("README.md", words) for words in of_readme()]
    for folder in ("configs", "bridge_jax"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            doc = ast.get_docstring(ast.parse(path.read_text())) or ""
            where = str(path.relative_to(ROOT))
            found += [(where, words) for words in _commands(_indented(doc))]
    return found


def of_readme() -> list[tuple[str, ...]]:
    """The commands in the README's bash blocks."""
    blocks = FENCE.findall(README.read_text())
    return [words for block in blocks for words in _commands(block.splitlines())]


def _indented(doc: str) -> list[str]:
    """Lines of a docstring that are code, and not prose about it."""
    return [line.strip() for line in doc.splitlines() if line.startswith("    ")]


def _commands(lines: list[str]) -> Iterator[tuple[str, ...]]:
    """The lines that start with "bridge ", continued ones joined."""
    joined = "\n".join(lines).replace("\\\n", " ").splitlines()
    for line in joined:
        # Remarks after a command stand in brackets, at some distance.
        line = re.sub(r"\s{2,}\(.*\)$", "", line.strip())
        if line.startswith("bridge "):
            yield tuple(shlex.split(line, comments=True)[1:])
