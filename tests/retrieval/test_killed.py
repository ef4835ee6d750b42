"""kill -9 at any moment leaves the index as it was, or as it was to be."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WANTED = {
    "add": ("abcd", "abcdef"),
    "remove": ("abcd", "bcd"),
    "wear": ("abcd", "cd"),
    "replace": ("abcd", "xy"),
    "make": (None, "xy"),
}


@pytest.fixture(scope="module")
def kills(tmp_path_factory):
    """change -> what was held after a kill at its step 0, 1, ...; the last: no kill."""
    done = subprocess.run(
        [
            *(sys.executable, str(ROOT / "tests" / "retrieval" / "killed.py")),
            str(tmp_path_factory.mktemp("killed") / "home"),
        ],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = {}
    for change, step, held in map(json.loads, done.stdout.splitlines()):
        found.setdefault(change, []).append(held)
        assert step == len(found[change]) - 1
    return found


@pytest.mark.parametrize("change", WANTED)
def test_a_killed_change_happened_or_did_not(kills, change):
    before, after = WANTED[change]
    held = kills[change]
    assert held[-1] == after  # nobody killed it
    turn = held.index(after)
    assert held == [before] * turn + [after] * (len(held) - turn)
    # The window was hit: files were half-written, and the manifest not yet replaced.
    assert turn >= 5


def test_kills_hit_what_comes_after_too(kills):
    """Old files are swept when the change has happened; a kill may fall there."""
    for change in ("wear", "replace"):
        assert kills[change].count(WANTED[change][1]) >= 3
