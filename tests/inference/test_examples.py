"""Examples that are shown are true: docstrings' and README's, on the shipped model."""

import doctest
import os
import re
import runpy
from pathlib import Path

import pytest

import bridge_jax
from bridge_jax.inference import settings
from bridge_jax.inference.model import Model

README = Path(__file__).parents[2] / "README.md"
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
LOAD = bridge_jax.load  # as it was before anything is put in its place
SHOWN = (Model.chat, Model.generate, Model.edit, Model.embed)
ELSEWHERE = ("openai", "safetensors")  # need a server, or weights that were exported


class Hasty(Model):
    """The same, drawn in fewer steps where it is not said in how many."""

    def generate(self, *args, **choices):
        return super().generate(*args, **{"steps": 2} | choices)

    def edit(self, *args, **choices):
        return super().edit(*args, **{"steps": 2} | choices)


@pytest.fixture(scope="module")
def loaded():
    """What `bridge_jax.load` is to be in here: the shipped model, once.

    It does one thing after another, so that all examples share a few programs.
    """
    limits = settings.Limits(rows=1, images=1)
    whole = bridge_jax.load("shapes-tiny", limits=limits)
    hasty = Hasty(whole.engine, whole.params)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bridge_jax, "load", lambda path: {"shapes-tiny": hasty}[path])
        yield hasty


def failures(shown, names):
    """Examples in its docstring that do not give what they say; their number, too."""
    parsed = doctest.DocTestParser().get_doctest(
        shown.__doc__, names, shown.__qualname__, None, 0
    )
    told = []
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    found = runner.run(parsed, out=told.append)
    return found.attempted, "".join(told) if found.failed else ""


def test_docstrings(loaded):
    attempted, told = failures(LOAD, {})
    assert (attempted, told) == (3, "")
    for method in SHOWN:
        attempted, told = failures(method, {"model": loaded})
        assert attempted >= 3 and not told, told


def test_a_wrong_example_is_told():
    def wrong():
        """
        >>> 1 + 1
        3
        """

    assert "Got" in failures(wrong, {})[1]


def test_readme(loaded, tmp_path, monkeypatch):
    """Its blocks of Python, one after another, as one program."""
    blocks = BLOCK.findall(README.read_text())
    blocks = [
        text for text in blocks if not any(f"from {x}" in text for x in ELSEWHERE)
    ]
    assert len(blocks) >= 2 and "bridge_jax.load" in blocks[0]
    monkeypatch.chdir(tmp_path)
    Path("example.py").write_text("\n".join(blocks))
    made = runpy.run_path(os.fspath(tmp_path / "example.py"))
    assert made["drawing"].images.shape == (4, 64, 64, 3)
    assert len(made["answers"]) == 4 and made["edited"].images.shape == (1, 64, 64, 3)
    assert made["pictures"].shape == (4, 128) and made["texts"].shape == (2, 128)
