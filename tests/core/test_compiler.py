"""Options of XLA's compiler, set once and for CPUs alone."""

import importlib.util
import os
import subprocess
import sys

import pytest

from bridge_jax.core import compiler

ALL = [f"{name}={value}" for name, value in compiler.OPTIONS.items()]
WIDTH, EXTRA = compiler.OPTIONS
# Two results of one array: one loop for both, or two.
PROGRAM = """
from bridge_jax.core import compiler
{first}
import jax, jax.numpy as jnp
def both(x):
    y = jnp.sin(x)
    return y * 2, y + x
program = jax.jit(both).lower(jnp.ones((512, 512))).compile().as_text()
print(sum(" = (f32" in line and " fusion(" in line for line in program.splitlines()))
"""


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, ALL),
        ({"XLA_FLAGS": "--one=1 --two"}, ["--one=1", "--two", *ALL]),
        ({"XLA_FLAGS": f"{EXTRA}=mine"}, [f"{EXTRA}=mine", ALL[0]]),
        ({"XLA_FLAGS": " ".join(ALL)}, ALL),
    ],
)
def test_what_is_named_already_stays(given, wanted):
    compiler.tune(given)
    assert given == {"XLA_FLAGS": " ".join(wanted)}


@pytest.mark.parametrize("plugin", ["libtpu", "jax_plugins"])
def test_where_there_may_be_other_devices_nothing_changes(plugin, monkeypatch):
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: object() if name == plugin else None
    )
    given = {"XLA_FLAGS": "--one=1"}
    compiler.tune(given)
    assert given == {"XLA_FLAGS": "--one=1"}
    compiler.tune(given := given | {"JAX_PLATFORMS": "cpu"})
    assert given["XLA_FLAGS"] == " ".join(["--one=1", *ALL])


TUNED = "compiler.tune()"


@pytest.mark.parametrize(
    ("first", "given", "loops"),
    [
        ("", {}, "0"),
        (TUNED, {}, "1"),
        (TUNED, {"XLA_FLAGS": f"{EXTRA}=xla_none"}, "0"),  # as README says
    ],
)
def test_xla_knows_them(first, given, loops):
    """Those that it does not know stop it, or change nothing."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(first=first)],
        env={k: v for k, v in os.environ.items() if k != "XLA_FLAGS"} | given,
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stdout.strip() == loops, done.stderr
