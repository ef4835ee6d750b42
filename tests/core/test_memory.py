"""Memory goes back to the system, once a long run; or it stays, where one asks."""

import os
import statistics
import subprocess
import sys
from ctypes.util import find_library

import pytest
import toy

from bridge_jax.cli import main
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


def test_jemalloc_is_asked_where_it_is_the_allocator(monkeypatch):
    asked = []

    class Jemalloc:
        def mallctl(self, name, *given):
            asked.append(
                (name, [one._obj.value for one in given if hasattr(one, "_obj")])
            )
            return 0

    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: Jemalloc())
    assert memory.keep(ASKED)
    memory.release()
    assert asked == [(b"arenas.dirty_decay_ms", [-1]), (b"arena.4096.purge", [])]


def test_only_long_runs_release(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(memory, "release", lambda: asked.append(1))
    loop.train(toy.run(tmp_path / "short", 5))
    assert not asked
    loop.train(toy.run(tmp_path / "long", 25))
    assert asked == [1]


# 64 MB of temporaries, as glibc keeps 32 itself; prints how many pages, small or huge,
# each run maps anew.
PROGRAM = """
import resource
from bridge_jax.core import memory
{keep}
import jax, jax.numpy as jnp
run = jax.jit(lambda x: jnp.tanh(x @ x.T) @ x)
x = jnp.ones((4096, 16))
for _ in range(40):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    run(x).block_until_ready()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
ASKED = {"BRIDGE_JAX_KEEP_MEMORY": "1"}
OTHERS = ("XLA_FLAGS", "LD_PRELOAD", "MALLOC_CONF")  # that would decide otherwise


def pages_mapped(keep: str, **environment: str) -> float:
    """A run, by the median of the last half."""
    plain = {"JAX_PLATFORMS": "cpu"} | dict.fromkeys(OTHERS, "")
    environment = os.environ | plain | ASKED | environment
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(keep=keep)],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    return statistics.median(map(int, done.stdout.split()[20:]))


def test_temporaries_that_are_kept_are_not_mapped_again():
    assert pages_mapped("assert memory.keep()") < pages_mapped("") / 4


@pytest.mark.skipif(
    find_library("jemalloc") is None, reason="no jemalloc here (apt: libjemalloc2)"
)
def test_jemalloc_keeps_them_where_it_is_loaded():
    loaded = {"LD_PRELOAD": find_library("jemalloc")}
    kept = pages_mapped("assert memory.keep()", **loaded)
    assert kept < pages_mapped("", **loaded) / 4


@pytest.mark.parametrize("given", [{}, {"BRIDGE_JAX_KEEP_MEMORY": "0"}])
def test_memory_is_kept_only_where_one_asks(given, monkeypatch):
    asked = []

    class Libc:
        def mallopt(self, name, value):
            asked.append((name, value))
            return 1

    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: Libc())
    assert not memory.keep(given)
    assert not asked
    assert memory.keep(ASKED)
    assert len(asked) == 3


def test_without_glibc_nothing_is_kept(monkeypatch):
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: object())
    assert not memory.keep(ASKED)


def test_every_command_heeds_the_variable(monkeypatch):
    asked = []
    monkeypatch.setattr(memory, "keep", lambda: asked.append(1))
    assert main.main(["formats"]) == 0
    assert asked == [1]
