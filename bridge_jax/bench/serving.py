"""Many clients at once at one server: what each round of them costs it.

The server is `bridge serve` as a process of its own; clients are threads that ask one
thing after another, wait when they are told to (429), and count everything else that is
no answer. Memory is what the server holds after each round.
"""

import base64
import contextlib
import dataclasses
import http.client
import io
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import PIL.Image

from bridge_jax.core import log
from bridge_jax.core.errors import BridgeError
from bridge_jax.data import shapes_world

_KINDS = ("chat", "chat", "draw", "embed")  # what client i asks for, by i
_PATHS = {
    "chat": "/v1/chat/completions",
    "draw": "/v1/images/generations",
    "embed": "/v1/embeddings",
}
_TIMEOUT = 300  # seconds


@dataclasses.dataclass(frozen=True)
class Result:
    """Attributes:
    clients: at once.
    answered: requests in all that were answered with 200.
    refused: with anything else but 429, after which a client asks again.
    seconds: of each round.
    memory: bytes that the server holds after each round.
    """

    clients: int
    answered: int
    refused: int
    seconds: tuple[float, ...]
    memory: tuple[int, ...]


def measure(
    model: str = "shapes-tiny", clients: int = 50, rounds: int = 24, each: int = 2
) -> Result:
    """Serve a model to `clients`, who ask `each` things in every round.

    Raises:
      BridgeError: the server does not start.
    """
    seconds, memory, statuses = [], [], []
    with _server(model) as (pid, address):
        for turn in log.progress(range(rounds), "serving"):
            began = time.perf_counter()
            _round(address, clients, each, turn, statuses)
            seconds.append(time.perf_counter() - began)
            memory.append(_resident(pid))
    good = statuses.count(200)
    times, held = tuple(seconds), tuple(memory)
    return Result(clients, good, len(statuses) - good, times, held)


def markdown(result: Result) -> str:
    """One line: what was asked, how it went, and what the server held."""
    count = len(result.memory)
    looks = sorted({1, max(1, count // 2), count})  # caches fill in the first rounds
    held = " | ".join(f"{result.memory[i - 1] / 1e6:,.0f}" for i in looks)
    rate = result.answered / len(result.seconds) / statistics.median(result.seconds)
    head = (
        "| clients at once | rounds | answered | not answered | a second"
        f" | MB after round {' | '.join(map(str, looks))} |"
    )
    line = (
        f"| {result.clients} | {len(result.seconds)} | {result.answered:,}"
        f" | {result.refused} | {rate:.1f} | {held} |"
    )
    return f"{head}\n|{'---|' * (5 + len(looks))}\n{line}"


@contextlib.contextmanager
def _server(model: str) -> Iterator[tuple[int, str]]:
    """(process id, host:port) of a server that is stopped at the end."""
    command = [sys.executable, "-m", "bridge_jax", "serve", "--port", "0"]
    with subprocess.Popen(
        [*command, "--model", model], stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            line = server.stdout.readline()
            if "http://" not in line:
                raise BridgeError(f"the server of {model} did not start: see above")
            yield server.pid, line.rpartition("http://")[2].strip()
        finally:
            server.terminate()


def _round(address: str, clients: int, each: int, turn: int, statuses: list) -> None:
    threads = [
        threading.Thread(target=_ask, args=(address, i, each, turn, statuses))
        for i in range(clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _ask(address: str, i: int, each: int, turn: int, statuses: list) -> None:
    """What client i does in a round."""
    kind = _KINDS[i % len(_KINDS)]
    client = http.client.HTTPConnection(address, timeout=_TIMEOUT)
    for number in range(each):
        body = json.dumps(_body(kind, i, turn * each + number))
        while (answer := _answer(client, _PATHS[kind], body))[0] == 429:
            time.sleep(answer[1])
        statuses.append(answer[0])
    client.close()


def _answer(client: http.client.HTTPConnection, path: str, body: str) -> Any:
    """(status, seconds to wait before one asks again)."""
    try:
        client.request("POST", path, body, {"Content-Type": "application/json"})
        told = client.getresponse()
        told.read()
        return told.status, float(told.getheader("Retry-After", 1))
    except (OSError, http.client.HTTPException):
        client.close()
        return 0, 1.0


def _body(kind: str, i: int, number: int) -> dict[str, Any]:
    """Another picture, prompt or text each time."""
    item = shapes_world.Source("test")[1000 * i + number]
    if kind == "draw":
        return {"prompt": item.caption(), "steps": 4, "seed": number}
    if kind == "embed":
        return {"input": [item.caption()], "images": [_url(item.image)]}
    content = [
        {"type": "image_url", "image_url": {"url": _url(item.image)}},
        {"type": "text", "text": item.questions()[0].question},
    ]
    return {"messages": [{"role": "user", "content": content}], "max_tokens": 16}


def _url(pixels: Any) -> str:
    file = io.BytesIO()
    PIL.Image.fromarray(pixels).save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def _resident(pid: int) -> int:
    """Bytes of memory that a process has."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
