"""Kill a change of an index at each step that it takes on disk, and look what is left.

    python killed.py FOLDER      prints a JSON line a kill: [change, step, what is held]

No jax here, so that forks are cheap and safe.
"""

import json
import os
import shutil
import signal
import sys
from pathlib import Path

import numpy as np

from bridge_jax.retrieval import changes, reading

CHANGES = {
    "add": lambda folder: changes.add(folder, [rows("ef")], list("ef"), "m"),
    "remove": lambda folder: changes.remove(folder, ["a"]),
    "wear": lambda folder: changes.remove(folder, ["a", "b"]),
    "replace": lambda folder: changes.replace(folder, [rows("xy")], list("xy"), 4, "m"),
    "make": lambda folder: changes.replace(
        folder.with_name("new"), [rows("xy")], list("xy"), 4, "m"
    ),
}


def rows(ids):
    return np.array([[ord(one)] * 4 for one in ids], np.float32)


def held(folder):
    """The ids of an index, if there is one; its vectors must be theirs."""
    if not folder.exists():
        return None
    _, segments = reading.read(folder, "m")
    ids = list(changes.ids_of(segments))
    for one, row in zip(
        ids, np.concatenate(list(changes.vectors(segments))), strict=True
    ):
        assert (row == ord(one)).all()
    return "".join(ids)


def killed_at(step, change, folder):
    """Whether the process was killed, at that step, before it was done."""
    child = os.fork()
    if not child:
        left = [step]

        def counted(function):
            def run(*args, **kwargs):
                left[0] -= 1
                if left[0] < 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return function(*args, **kwargs)

            return run

        for name in ("fsync", "replace", "unlink", "rmdir", "mkdir"):
            setattr(os, name, counted(getattr(os, name)))
        change(folder)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


def main(home):
    os.fsync = lambda handle: None  # what is killed is not the machine
    for name, change in CHANGES.items():
        for step in range(100):
            shutil.rmtree(home, ignore_errors=True)
            home.mkdir()
            folder, new = home / "index", home / "new"
            changes.replace(folder, [rows("abcd")], list("abcd"), 4, "m")
            was_killed = killed_at(step, change, folder)
            found = held(new if name == "make" else folder)
            print(json.dumps([name, step, found]))
            if not was_killed:
                break
            if name == "make":  # the same command again
                change(folder)
                assert held(new) == "xy"
                assert sorted(p.name for p in home.iterdir()) == ["index", "new"]
                continue
            # Whatever is left is in nobody's way, and goes with the next change.
            changes.add(folder, [rows("z")], ["z"], "m")
            assert held(folder) == found + "z"
            manifest, _ = reading.read(folder)
            named = {entry.name for entry in manifest.segments}
            assert {p.name for p in folder.iterdir()} == {*named, "index.json"}
        else:
            raise AssertionError(f"{name} takes no end")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
