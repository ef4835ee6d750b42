"""Pages are shown as they are meant."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    *(ROOT / "bridge_jax").rglob("*.md"),
    *(ROOT / ".experiments").rglob("*.md"),
]


@pytest.mark.parametrize("page", PAGES, ids=[str(p.relative_to(ROOT)) for p in PAGES])
def test_tables_begin_with_a_head(page):
    """A row that stands apart from its head is shown as text with bars."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    tables = re.findall(r"(?:^\|.*\n)+", text + "\n", flags=re.MULTILINE)
    assert tables
    for rows in tables:
        assert re.match(r"\|.*\n\|[-:| ]+\|\n", rows), rows
