"""One process of a run of several: `python worker.py JOB.json INDEX`.

The job is what `processes.launch` writes. It trains the toy, or a recipe's miniature;
process 0 leaves the losses of every step in WORKDIR.losses.json.
"""

import json
import os
import resource
import sys
import time
from pathlib import Path

job = json.loads(Path(sys.argv[1]).read_text())
index = int(sys.argv[2])
os.environ.update(
    JAX_PLATFORMS="cpu",
    NPROC="8",
    XLA_FLAGS=f"--xla_force_host_platform_device_count={job['devices']}",
)
if job["processes"] > 1:
    place = f"localhost:{job['port']},{job['processes']},{index}"
    os.environ["BRIDGE_JAX_DISTRIBUTED"] = place
sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from bridge_jax.core import runtime
from bridge_jax.core.errors import BridgeError

runtime.start()

import jax
import toy

from bridge_jax.train import loop, optim

jax.config.update("jax_disable_most_optimizations", True)
assert jax.process_count() == job["processes"]
assert jax.device_count() == job["processes"] * job["devices"]
losses = toy.Losses()


def finish():
    if index == 0:
        told = Path(f"{job['workdir']}.losses.json")
        told.write_text(json.dumps(losses.seen))
    sys.exit()


if job["config"]:
    import miniature

    from bridge_jax.train import recipe

    config = miniature.config(job["config"])
    config.mesh = {"data": 2 if jax.device_count() > 1 else 1, "fsdp": -1}
    config.total_steps = job["steps"]
    made = recipe.make(config)
    recipe.run(made, config, Path(job["workdir"]), hooks=(losses,))
    finish()


class Full:
    """After a step no file of this process takes another byte, as on a full disk."""

    every = 1

    def __init__(self, step):
        self.step = step

    def __call__(self, step, state, figures):
        if step == self.step:
            _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, most))


class Slow:
    """Data that takes its time."""

    def __init__(self, data, seconds):
        self.data, self.seconds = data, seconds

    def __next__(self):
        time.sleep(self.seconds)
        return next(self.data)

    def get_state(self):
        return self.data.get_state()

    def set_state(self, state):
        self.data.set_state(state)


class Stuck:
    """The last process's data, which never comes after some steps."""

    def __init__(self, data, steps):
        self.data, self.left = data, steps

    def __next__(self):
        while not self.left:
            time.sleep(1)
        self.left -= 1
        return next(self.data)

    def get_state(self):
        return self.data.get_state()

    def set_state(self, state):
        self.data.set_state(state)


data = toy.data(share=index, shares=job["processes"])
if job["stuck_after"] and index == job["processes"] - 1:
    data = Stuck(data, job["stuck_after"])
if job["pause"]:
    data = Slow(data, job["pause"])
run = toy.run(
    job["workdir"],
    job["steps"],
    where=toy.layout(None, data=2, fsdp=-1),
    config=optim.OptimConfig(learning_rate=1e-2, ema_decay=0.5),
    data=data,
    hooks=(losses, Full(job["full_after"])),
    checkpoint_every=2,
    keep=9,
    resume=job["resume"],
    hang_seconds=job["hang_seconds"],
)
try:
    loop.train(run)
except BridgeError as error:  # as the command line ends
    print(f"bridge: {error}", flush=True)
    os._exit(runtime.EXIT_BAD_INPUT)
finish()
