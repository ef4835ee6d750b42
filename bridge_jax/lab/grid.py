"""All jobs of an experiment, each in a process of its own.

A job that fails or is killed takes no other with it, and a job that is done is not
done again: run the same command once more, and it does what is missing.
"""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from concurrent import futures
from pathlib import Path
from typing import Self

from bridge_jax.core import log
from bridge_jax.core.errors import BridgeError
from bridge_jax.lab import job as job_lib
from bridge_jax.lab.experiment import Job

LOG = "log.txt"
Command = Callable[[Job], Sequence[str]]


def run(jobs: Sequence[Job], out: Path, command: Command, workers: int = 1) -> None:
    """Run what is missing of `jobs`, `workers` at a time.

    Args:
      command: job -> the command line that does it, and exits with 0.
      workers: the processor's cores are divided among them.

    Raises:
      BridgeError: a folder with another config's run, before anything runs; jobs that
        failed, after all others ran.
    """
    for job in jobs:
        job_lib.check(job, out)
    left = [job for job in jobs if not job_lib.is_done(job, out)]
    log.say(f"{len(jobs) - len(left)} of {len(jobs)} jobs were done before")
    cores = shares(sorted(os.sched_getaffinity(0)), workers)
    running = _Running()
    with futures.ThreadPoolExecutor(len(cores)) as pool, running:
        local = threading.local()
        lock = threading.Lock()

        def one(job: Job) -> int:
            if not hasattr(local, "cores"):
                with lock:
                    local.cores = cores.pop()
                os.sched_setaffinity(0, local.cores)  # this thread's, its children's
            return running.wait(job, out, command(job))

        codes = list(pool.map(one, left))
    failed = [
        f"{job.name} (exit {code}: {_last_line(job.folder(out) / LOG)})"
        for job, code in zip(left, codes, strict=True)
        if code
    ]
    if failed:
        raise BridgeError(
            f"{len(failed)} of {len(jobs)} jobs failed: {'; '.join(failed)}; the same"
            " command runs them again"
        )


class _Running:
    """The processes that run, which end when this one does."""

    def __init__(self):
        self._processes: set[subprocess.Popen] = set()
        self._stopped = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            return
        self._stopped = True
        for process in set(self._processes):
            process.send_signal(signal.SIGTERM)  # a training run saves and ends

    def wait(self, job: Job, out: Path, command: Sequence[str]) -> int:
        """Run one job to its end; its exit code."""
        if self._stopped:
            return -signal.SIGTERM
        folder, began = job.folder(out), time.perf_counter()
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / LOG).open("a") as file:
            process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
            self._processes.add(process)
            code = process.wait()
            self._processes.discard(process)
        ended = "done" if code == 0 else f"FAILED, exit {code}"
        log.say(f"{job.name}: {ended} after {time.perf_counter() - began:.0f} s")
        return code


def shares(cores: Sequence[int], workers: int) -> list[set[int]]:
    """The cores of each worker; several workers on a core where there are too few."""
    if workers > len(cores):
        return [{cores[i % len(cores)]} for i in range(workers)]
    return [set(cores[i::workers]) for i in range(workers)]


def _last_line(path: Path) -> str:
    lines = path.read_text(errors="replace").strip().splitlines()
    return lines[-1][:200] if lines else "it said nothing"
