"""Memory goes back to the system, and a run of some steps asks for it once."""

import toy

from bridge_jax.core import memory
from bridge_jax.train import loop


class Knot:
    """Something that only the collector can free."""

    freed = 0

    def __init__(self):
        self.self = self

    def __del__(self):
        Knot.freed += 1


def test_what_knows_itself_is_freed():
    before = Knot.freed
    Knot()
    memory.release()
    assert Knot.freed == before + 1


def test_without_glibc_nothing_else_happens(monkeypatch):
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: object())
    before = Knot.freed
    Knot()
    memory.release()
    assert Knot.freed == before + 1


def test_only_long_runs_release(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(memory, "release", lambda: asked.append(1))
    loop.train(toy.run(tmp_path / "short", 5))
    assert not asked
    loop.train(toy.run(tmp_path / "long", 25))
    assert asked == [1]
