"""All jobs of an experiment, each in a process of its own.

A job that fails or is killed takes no other with it, and a job that is done is not
done again: run the same command once more, and it does what is missing. What stops the
grid (SIGTERM, Ctrl-C, the end of its terminal) stops its jobs, too: those that train
save first.
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

from bridge_jax.core import log, runtime
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

    Call in the main thread.

    Raises:
      SystemExit: 42 after SIGTERM.
      BridgeError: arms that cannot be built and folders with another config's run, all
        of them before anything runs; jobs that failed, after all others ran.
    """
    _check(jobs, out)
    left = [job for job in jobs if not job_lib.is_done(job, out)]
    log.say(f"{len(jobs) - len(left)} of {len(jobs)} jobs were done before")
    cores = shares(sorted(os.sched_getaffinity(0)), workers)
    running = _Running()
    pool = futures.ThreadPoolExecutor(len(cores))
    with runtime.ended_by_signal(), pool, running:
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


def _check(jobs: Sequence[Job], out: Path) -> None:
    problems = []
    for job in jobs:
        try:
            job_lib.check(job, out)
        except BridgeError as error:
            problems.append(str(error))
    if problems:  # an arm's own come with each of its seeds
        raise BridgeError("; ".join(dict.fromkeys(problems)))


class _Running:
    """The processes that run, which end when this one does."""

    def __init__(self):
        self._processes: set[subprocess.Popen] = set()
        self._stopped = False
        self._lock = threading.Lock()  # none starts while all are stopped

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            return
        with self._lock:
            self._stopped = True
            for process in self._processes:
                process.send_signal(signal.SIGTERM)  # a training run saves and ends

    def wait(self, job: Job, out: Path, command: Sequence[str]) -> int:
        """Run one job to its end; its exit code."""
        folder, began = job.folder(out), time.perf_counter()
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / LOG).open("a") as file:
            with self._lock:
                if self._stopped:
                    return -signal.SIGTERM
                process = subprocess.Popen(
                    command, stdout=file, stderr=subprocess.STDOUT
                )
                self._processes.add(process)
            code = process.wait()
            with self._lock:
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
