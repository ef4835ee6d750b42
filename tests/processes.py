"""Start the processes of a run side by side, and see how each ends.

They are forked from a server that has imported everything, which saves each of them
some seconds of a core; see `worker` for what they do.
"""

import json
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import worker

HEARTBEAT = 10  # seconds
_server = multiprocessing.get_context("forkserver")
_server.set_forkserver_preload(["worker_imports"])


class Started:
    """One process of a job."""

    def __init__(self, job, index):
        self._heard = bytearray()
        # Not a file: a disk that is full must not silence it.
        mine, said = _server.Pipe(duplex=False)
        self._process = _server.Process(target=worker.main, args=(job, index, said))
        self._process.start()
        said.close()
        self._listener = threading.Thread(target=self._listen, args=(mine,))
        self._listener.start()

    def _listen(self, mine):
        with mine:
            while heard := os.read(mine.fileno(), 65536):
                self._heard += heard

    @property
    def pid(self):
        return self._process.pid

    @property
    def said(self):
        """What it has printed so far."""
        return self._heard.decode()

    @property
    def code(self):
        """Its exit code, or minus the signal that ended it; None while it runs."""
        return self._process.exitcode

    def send(self, number):
        os.kill(self.pid, number)

    def wait(self, seconds):
        """Until it has ended; after so many seconds it is killed."""
        self._process.join(max(seconds, 0))
        if self._process.exitcode is None:
            self.send(signal.SIGKILL)
            self._process.join()
            raise TimeoutError(f"a process did not end: ...{self.said[-600:]}")
        self._listener.join()


def launch(workdir, processes, devices, steps, **given):
    """The running processes of a job, not waited for; see `worker.DEFAULTS`."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    job = worker.DEFAULTS | {
        "processes": processes,
        "devices": devices,
        "port": port,
        "workdir": str(workdir),
        "steps": steps,
        "heartbeat": HEARTBEAT,
    }
    unknown = given.keys() - job.keys()
    assert not unknown, unknown
    # The server reads it when it starts, which is with the first process.
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)
    return [Started(job | given, index) for index in range(processes)]


def finish(started, seconds=240):
    """(exit code, what it printed) of each, in order; kills what lasts longer."""
    end = time.monotonic() + seconds
    late = []
    for process in started:
        try:
            process.wait(end - time.monotonic())
        except TimeoutError as error:
            late.append(error)
    if late:
        raise late[0]
    return [(process.code, process.said) for process in started]


def run(workdir, processes, devices, steps, **given):
    """Train to the end; the figures of every step it made, and process 0's output."""
    before = len(records(workdir))
    ended = finish(launch(workdir, processes, devices, steps, **given))
    ends = [f"{code}: ...{text[-600:]}" for code, text in ended]
    assert [code for code, _ in ended] == [0] * processes, "\n".join(ends)
    made = records(workdir)[before:]
    return {record["step"]: record for record in made}, ended[0][1]


def records(workdir):
    """The figures of every step that any start has made, in order."""
    file = Path(f"{workdir}.losses.jsonl")
    lines = file.read_text().splitlines() if file.exists() else []
    return [json.loads(line) for line in lines]
