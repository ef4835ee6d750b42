"""Start the processes of a run side by side, and see how each ends."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

HEARTBEAT = 10  # seconds
WORKER = Path(__file__).with_name("worker.py")


def launch(
    workdir,
    processes,
    devices,
    steps,
    resume=False,
    hang_seconds=0,
    stuck_after=0,
    pause=0.0,
    full_after=0,
    config="",
):
    """The running processes of a job, not waited for.

    With `stuck_after` the last process gets no data after so many steps; every step
    takes at least `pause` seconds; after `full_after` steps no file can grow. With
    `config` it is that recipe's miniature that trains, and nothing is done to it.
    """
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    job = {
        "processes": processes,
        "devices": devices,
        "port": port,
        "workdir": str(workdir),
        "steps": steps,
        "resume": resume,
        "hang_seconds": hang_seconds,
        "stuck_after": stuck_after,
        "pause": pause,
        "full_after": full_after,
        "config": config,
    }
    file = Path(f"{workdir}.job.json")
    file.write_text(json.dumps(job))
    return [
        subprocess.Popen(
            [sys.executable, str(WORKER), str(file), str(index)],
            env=os.environ | {"BRIDGE_JAX_HEARTBEAT": str(HEARTBEAT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for index in range(processes)
    ]


def finish(started, seconds=240):
    """(exit code, what it printed) of each, in order; kills what lasts longer."""
    try:
        said = [process.communicate(timeout=seconds)[0] for process in started]
    finally:
        for process in started:
            process.kill()
    return [(p.returncode, text) for p, text in zip(started, said, strict=True)]


def run(workdir, processes, devices, steps, resume=False, config=""):
    """Train to the end; the losses of every step of process 0, and its output."""
    ended = finish(launch(workdir, processes, devices, steps, resume, config=config))
    ends = [f"{code}: ...{text[-600:]}" for code, text in ended]
    assert [code for code, _ in ended] == [0] * processes, "\n".join(ends)
    losses = json.loads(Path(f"{workdir}.losses.json").read_text())
    return {int(step): figures for step, figures in losses.items()}, ended[0][1]
