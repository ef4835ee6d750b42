"""Files of a checkpoint that are no longer what was written."""

import functools
import random
import shutil
from pathlib import Path

import jax
import numpy as np
import toy
import trials

from bridge_jax.checkpoint import folders, manager
from bridge_jax.core.errors import BridgeError
from bridge_jax.train import loop, optim
from bridge_jax.train import state as train_state

KINDS = {"bit flipped": 600, "cut": 150, "zeroed": 150, "missing": 100}
GROUP = "a file of the newest checkpoint {}"
WHERE = {"devices": 2, "fsdp": 2}


def all_trials():
    """A thousand; each has a folder of its own, so that no cache helps."""
    for kind, count in KINDS.items():
        for turn in range(count):
            run = functools.partial(_corrupt, kind, turn)
            yield trials.Trial(GROUP.format(kind), f"{kind} {turn}", run)


@functools.cache
def _saved(folder):
    """(work directory, bytes of the states at steps 2 and 4, their shapes)."""
    workdir = folder / "corrupted_run"
    kept = {}

    class Copy:
        every = 2

        def __call__(self, step, state, figures):
            kept[step] = _bytes(state)

    shutil.rmtree(workdir, ignore_errors=True)
    config = optim.OptimConfig(learning_rate=1e-2, ema_decay=0.5)
    where = toy.layout(**WHERE)
    given = {"hooks": [Copy()], "checkpoint_every": 2}
    state = loop.train(toy.run(workdir, 4, where, config, **given))
    return workdir, kept, train_state.abstract(state)


def _bytes(tree):
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(tree)]


def _corrupt(kind, turn, workdir):
    source, kept, like = _saved(workdir.parent.parent)
    shutil.copytree(source, workdir)
    draw = random.Random(f"{kind} {turn}")
    step = workdir / folders.FOLDER / "4"
    files = sorted(file for file in step.rglob("*") if file.is_file())
    # Half of them by size, for arrays are most of the bytes; half of them any file.
    weights = [file.stat().st_size for file in files] if turn % 2 else None
    [file] = draw.choices(files, weights)
    _spoil(file, kind, draw)
    name = str(file.relative_to(step))
    checkpoints = manager.open_existing(workdir)
    try:
        found, params, ema, rest = checkpoints.restore(
            like.params, like.ema, like.rest(), None, manager.About(toy.MODEL, {})
        )
    except BridgeError as error:
        return trials.Outcome(True, True, f"{name}: refused, {str(error)[:80]}")
    finally:
        checkpoints.close()
    restored = train_state.TrainState(params=params, ema=ema, **rest)
    how = "fell back" if found == 2 else "no effect"
    return trials.Outcome(True, _bytes(restored) == kept[found], f"{name}: {how}")


def _spoil(file: Path, kind, draw):
    data = bytearray(file.read_bytes())
    if kind == "missing":
        file.unlink()
        return
    if not data:  # nothing to flip, cut or blank
        file.write_bytes(b"\0")
        return
    at = draw.randrange(len(data))
    if kind == "bit flipped":
        data[at] ^= 1 << draw.randrange(8)
    elif kind == "cut":
        del data[at:]
    else:
        end = min(len(data), at + 4096)
        if not any(data[at:end]):
            data[at:end] = b"\1" * (end - at)
        else:
            data[at:end] = bytes(end - at)
    file.write_bytes(data)
