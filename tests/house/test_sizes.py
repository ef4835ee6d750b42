"""Sizes to feel at home in."""

import ast
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
FILES = [
    path
    for folder in ("bridge_jax", "configs", "tests")
    for path in sorted((ROOT / folder).rglob("*.py"))
]
LONGEST_FILE, LONG_FUNCTION, WIDEST = 400, 50, 88
DRAWERS = {"utils", "helpers", "misc", "common"}


def functions(path: Path) -> list[int]:
    """Lines of every function in a file, methods too."""
    return [
        node.end_lineno - node.lineno + 1
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
    ]


def test_files_are_short():
    lines = {path: len(path.read_text().splitlines()) for path in FILES}
    assert not {str(p): n for p, n in lines.items() if n > LONGEST_FILE}


def test_functions_are_short():
    lengths = [n for p in FILES if "bridge_jax" in p.parts for n in functions(p)]
    assert np.percentile(lengths, 95) < LONG_FUNCTION


def test_lines_are_narrow():
    wide = [
        f"{path}:{number}"
        for path in FILES
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if len(line) > WIDEST
    ]
    assert not wide


def test_no_drawers():
    named = [p for p in FILES if p.stem in DRAWERS and p.parent.name != "configs"]
    assert not named


def test_modules_say_what_they_are():
    sources = {p: p.read_text() for p in FILES if "tests" not in p.parts}
    silent = [
        str(path)
        for path, text in sources.items()
        if text.strip() and not ast.get_docstring(ast.parse(text))
    ]
    assert not silent
