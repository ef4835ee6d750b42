"""One process of a run of several: `python worker.py JOB.json INDEX`.

The job: processes, devices (each has so many), port, workdir, steps, resume, and
optionally a config spec; without one it trains the toy. Process 0 leaves the losses of
every step in WORKDIR.losses.json.
"""

import json
import os
import sys
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

runtime.start()

import jax
import toy

from bridge_jax.train import loop, optim

jax.config.update("jax_disable_most_optimizations", True)
assert jax.process_count() == job["processes"]
assert jax.device_count() == job["processes"] * job["devices"]
losses = toy.Losses()
run = toy.run(
    job["workdir"],
    job["steps"],
    where=toy.layout(None, data=2, fsdp=-1),
    config=optim.OptimConfig(learning_rate=1e-2, ema_decay=0.5),
    data=toy.data(share=index, shares=job["processes"]),
    hooks=(losses,),
    checkpoint_every=2,
    keep=9,
    resume=job["resume"],
)
loop.train(run)
if index == 0:
    Path(f"{job['workdir']}.losses.json").write_text(json.dumps(losses.seen))
