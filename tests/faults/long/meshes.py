"""A checkpoint of any mesh goes on on any other, to the bit."""

import functools
import itertools

import jax
import numpy as np
import toy
import trials

from bridge_jax.train import loop, optim

GROUP = "saved on one mesh, restored on another"
MESHES = {
    "data 8": {"devices": 8, "data": 8},
    "fsdp 8": {"devices": 8, "fsdp": 8},
    "tensor 4, data 2": {"devices": 8, "data": 2, "tensor": 4},
    "fsdp 4, tensor 2": {"devices": 8, "fsdp": 4, "tensor": 2},
    "2 x 2 x 2": {"devices": 8, "data": 2, "fsdp": 2, "tensor": 2},
    "fsdp 4": {"devices": 4, "fsdp": 4},
    "data 2, fsdp 2": {"devices": 4, "data": 2, "fsdp": 2},
    "tensor 4": {"devices": 4, "tensor": 4},
    "fsdp 2": {"devices": 2, "fsdp": 2},
    "tensor 2": {"devices": 2, "tensor": 2},
    "one": {"devices": 1},
}


def all_trials():
    """110 ordered pairs."""
    for pair in itertools.permutations(MESHES, 2):
        yield trials.Trial(GROUP, " to ".join(pair), functools.partial(_pair, *pair))


@functools.cache
def _saved(folder, name):
    """(work directory, host copies of the state) of three steps on a mesh."""
    workdir = folder / f"mesh_{name.replace(' ', '_')}"
    return workdir, _host(loop.train(_run(workdir, name, resume="auto")))


def _run(workdir, name, **given):
    config = optim.OptimConfig(learning_rate=1e-2, ema_decay=0.5)
    where = toy.layout(**MESHES[name])
    return toy.run(workdir, 3, where, config, **given)


def _host(state):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(state)]


def _pair(one, other, workdir):
    source, wanted = _saved(workdir.parent.parent, one)
    restored = loop.train(_run(source, other, resume=True))
    found = _host(restored)
    same = all(
        a.dtype == b.dtype and a.tobytes() == b.tobytes()
        for a, b in zip(wanted, found, strict=True)
    )
    leaf = restored.params["first"]["kernel"]
    struck = len(leaf.sharding.device_set) == MESHES[other]["devices"]
    return trials.Outcome(struck, same)
