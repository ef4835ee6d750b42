"""One process of a run of one or several, as `processes.launch` forks it.

It trains the toy, or a recipe's miniature. Process 0 adds the figures of every step to
WORKDIR.losses.jsonl; each writes a digest of its share of the last state to
WORKDIR.digest.INDEX, and of every state to WORKDIR.states.INDEX if it is told to.
"""

import contextlib
import hashlib
import json
import os
import sys
from pathlib import Path

DEFAULTS = {
    "processes": 1,
    "devices": 1,
    "port": 0,
    "heartbeat": 10,
    "startup": 300,
    "workdir": "",
    "steps": 0,
    "resume": False,
    "checkpoint_every": 2,
    "keep": 9,
    "smallest_part": 1,  # byte: small arrays, too, are written by all processes
    "hang_seconds": 0,
    "patience": 20,
    "rollbacks": 0,
    "spikes": 0.0,  # sigmas, of a window of eight steps
    "traced": False,
    "config": "",  # a recipe whose miniature trains, by adamw, instead of the toy
    "start": "",  # folder of the parameters that it starts from
    "ills": {},  # name of `afflictions` -> its argument
    "ill": "all",  # index of the process that has them
}


def main(job, index, said):
    """Train as the job says; what the process prints goes to the connection `said`."""
    for number in (1, 2):
        os.dup2(said.fileno(), number)
    sys.stdout, sys.stderr = (os.fdopen(n, "w", buffering=1) for n in (1, 2))
    # The last of equal flags holds.
    flags = os.environ.get("XLA_FLAGS", "")
    os.environ.update(
        JAX_PLATFORMS="cpu",
        NPROC="8",
        XLA_FLAGS=f"{flags} --xla_force_host_platform_device_count={job['devices']}",
        BRIDGE_JAX_HEARTBEAT=str(job["heartbeat"]),
        BRIDGE_JAX_STARTUP=str(job["startup"]),
    )
    if job["processes"] > 1:
        place = f"localhost:{job['port']},{job['processes']},{index}"
        os.environ["BRIDGE_JAX_DISTRIBUTED"] = place
    import afflictions
    import jax

    from bridge_jax.core import collector, runtime
    from bridge_jax.core.errors import BridgeError

    collector.run_rarely()
    ill = job["ill"] in ("all", index)
    ills = afflictions.Ills(job["ills"] if ill else {}, job["workdir"])
    ills.before("start")
    runtime.start()
    assert jax.process_count() == job["processes"]
    assert jax.device_count() == job["processes"] * job["devices"]
    train = _recipe if job["config"] else _toy
    try:
        state = train(job, index, ills)
    except BridgeError as error:  # as the command line ends
        print(f"bridge: {error}", flush=True)
        os._exit(runtime.EXIT_BAD_INPUT)
    Path(f"{job['workdir']}.digest.{index}").write_text(_digest(state))
    ills.before("end")
    if job["processes"] > 1:
        jax.distributed.shutdown()  # a forked process does not run exit handlers


class _Figures:
    """A hook that writes every step's figures to a file as they come."""

    every = 1

    def __init__(self, file):
        self._file = file

    def __call__(self, step, state, figures):
        if not self._file:
            return
        # A disk that takes nothing is a test of the run, not of this hook.
        with contextlib.suppress(OSError), self._file.open("a") as stream:
            stream.write(json.dumps({"step": step, **figures}) + "\n")


class _States:
    """A hook that writes a digest of all that a step could change."""

    every = 1

    def __init__(self, file):
        self._file = file

    def __call__(self, step, state, figures):
        held = state.params, state.ema, state.opt_state
        with self._file.open("a") as stream:
            stream.write(f"{step} {_digest(held)}\n")


def _hooks(job, index, ills):
    # All processes have the same hooks, so that they wait at the same steps.
    losses = None if index else Path(f"{job['workdir']}.losses.jsonl")
    hooks = (_Figures(losses),)
    if job["traced"]:
        hooks += (_States(Path(f"{job['workdir']}.states.{index}")),)
    return hooks + ills.hooks


def _recipe(job, index, ills):
    import jax
    import miniature

    from bridge_jax.train import recipe

    config = miniature.config(job["config"])
    config.mesh = {"data": 2 if jax.device_count() > 1 else 1, "fsdp": -1}
    config.total_steps = job["steps"]
    config.init_from = {name: f"{job['start']}:{name}" for name in config.model}
    # Losses are compared, and what else trained would only take longer to compile.
    config.optim.update(name="adamw", trainable=(("retrieval/.*", True), (".*", False)))
    made = recipe.make(config)
    hooks = _hooks(job, index, ills)
    return recipe.run(made, config, Path(job["workdir"]), hooks=hooks)


def _toy(job, index, ills):
    import toy

    from bridge_jax.checkpoint import hashed_arrays
    from bridge_jax.train import loop, optim, spikes

    hashed_arrays.SMALLEST_PART = job["smallest_part"]
    rule = spikes.Rule(job["spikes"], window=8)
    run = toy.run(
        job["workdir"],
        job["steps"],
        where=toy.layout(None, data=2 if job["devices"] > 1 else 1, fsdp=-1),
        config=optim.OptimConfig(learning_rate=1e-2, ema_decay=0.5, spikes=rule),
        data=ills.data(toy.data(share=index, shares=job["processes"])),
        hooks=_hooks(job, index, ills),
        checkpoint_every=job["checkpoint_every"],
        keep=job["keep"],
        resume=job["resume"],
        hang_seconds=job["hang_seconds"],
        patience=job["patience"],
        rollbacks=job["rollbacks"],
    )
    return loop.train(run)


def _digest(state):
    """SHA-256 of this process's bytes of every array, in order."""
    import jax
    import numpy as np

    found = hashlib.sha256()
    for leaf in jax.tree.leaves(state):
        for shard in leaf.addressable_shards:
            found.update(np.asarray(shard.data).tobytes())
    return found.hexdigest()
