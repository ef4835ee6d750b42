"""What only reads configs takes no device: another process may need all of it."""

import subprocess
import sys

SCRIPT = """
from jax._src import xla_bridge
from bridge_jax.bench.card import works
from bridge_jax.cli import resolve

for work in works.WORKS.values():
    resolve.resolve(work.spec, work.changes)
assert not xla_bridge.backends_are_initialized()
"""


def test_the_measurers_of_a_card_leave_it_to_their_processes():
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
