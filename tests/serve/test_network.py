"""Over real sockets: streams that flow, clients that leave, many at once, the end."""

import asyncio
import contextlib
import dataclasses
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import httpx2
import pytest
import running
import stand_in

from bridge_jax.serve.security import Security

pytestmark = pytest.mark.anyio
CHAT = "/v1/chat/completions"
ROOT = Path(__file__).parents[2]
CLIENTS, ROUNDS = 50, 2


@pytest.fixture
def address(served):
    with running.server(served, Security()) as where:
        yield where


@contextlib.contextmanager
def process(seconds):
    """(process, address) of a server with the stand-in."""
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    script = Path(__file__).with_name("server_process.py")
    command = [sys.executable, str(script), str(seconds)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=env, **pipes) as started:
        try:
            line = started.stdout.readline()
            assert line.startswith("stand-in is served at http://"), line
            yield started, line.split()[-1]
        finally:
            if started.poll() is None:
                started.kill()


def chat(text="one two three", **more):
    return {"messages": stand_in.says(text)} | more


async def until(condition):
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never came to that")


async def test_a_stream_flows(address, backend):
    backend.hold()
    async with (
        httpx2.AsyncClient(base_url=address, timeout=20) as client,
        client.stream("POST", CHAT, json=chat(stream=True)) as told,
    ):
        assert told.headers["content-type"].startswith("text/event-stream")
        backend.release()
        lines = [line async for line in told.aiter_lines() if line]
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]
    said = [one["choices"][0]["delta"].get("content") for one in chunks]
    assert said == ["", "one ", "two ", "three ", None]
    assert lines[-1] == "data: [DONE]"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("runs", [False, True])
async def test_a_client_that_hangs_up(address, backend, served, stream, runs):
    """Whether its turn has come or not, its place is free again."""
    backend.hold()
    body = json.dumps(chat(stream=stream)).encode()
    host, port = address.removeprefix("http://").split(":")
    head = (
        f"POST {CHAT} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    open_ones = []
    for _ in range(1 if runs else 3):
        one = socket.create_connection((host, int(port)))
        one.sendall(head.encode() + body)
        open_ones.append(one)
        count = len(open_ones)
        await until(lambda n=count: served.chats.running + served.chats.waiting == n)
    if runs and stream:  # its answer has begun
        open_ones[-1].recv(1000)
    open_ones[-1].close()
    if runs:
        await until(lambda: backend.cancelled >= 1)
    else:
        await until(lambda: served.chats.waiting == 0)
        assert backend.cancelled == 0
    backend.release()
    await until(lambda: served.chats.running == 0)
    for one in open_ones[:-1]:
        assert one.recv(100).startswith(b"HTTP/1.1 200")
        one.close()


async def test_connections(served, limits):
    """As many as the limit says are answered, and one more is told to go."""
    served.limits = dataclasses.replace(limits, connections=3)
    with (
        running.server(served, Security()) as address,
        contextlib.ExitStack() as kept,
    ):
        host, port = address.removeprefix("http://").split(":")
        answers = []
        for _ in range(4):
            one = kept.enter_context(socket.create_connection((host, int(port))))
            asked = f"GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n"
            one.sendall(asked.encode())
            answers.append(one.recv(100).split()[1])
    assert answers == [b"200"] * 3 + [b"503"]


def ask(address, number, said):
    """What one client does: its questions, one after another."""
    picture = stand_in.data_url(stand_in.picture(256, 256, number % 256))
    messages = stand_in.says(f"client {number} asks", picture)
    body = json.dumps({"messages": messages})
    client = http.client.HTTPConnection(address.removeprefix("http://"), timeout=60)
    for _ in range(ROUNDS):
        status = 429
        while status == 429:
            kind = {"Content-Type": "application/json"}
            client.request("POST", CHAT, body, kind)
            told = client.getresponse()
            status, text = told.status, told.read()
        said.append(json.loads(text)["choices"][0]["message"]["content"])
    client.close()


def resident(pid):
    """Bytes of memory that a process has."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def test_fifty_clients_then_a_stop_that_loses_nothing():
    """Memory is given back; SIGTERM lets what runs finish, and nobody else in."""

    def round_of_clients(address):
        said = []
        threads = [
            threading.Thread(target=ask, args=(address, number, said))
            for number in range(CLIENTS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wanted = [f"<picture>client {n} asks " for n in range(CLIENTS)] * ROUNDS
        assert sorted(said) == sorted(wanted)

    with process(0.01) as (server, address):
        memory = []
        for _ in range(3):
            round_of_clients(address)
            memory.append(resident(server.pid) / 2**20)
        assert memory[2] < memory[0] + 8, memory
        async with httpx2.AsyncClient(base_url=address, timeout=20) as client:
            figures = (await client.get("/metrics")).text
            done = f'{{route="{CHAT}",status="200"}} {3 * CLIENTS * ROUNDS}.0'
            assert done in figures and 'status="5' not in figures
            words = " ".join(["word"] * 100)
            running = asyncio.create_task(client.post(CHAT, json=chat(words)))
            await asyncio.sleep(0.3)
            server.send_signal(signal.SIGTERM)
            await asyncio.sleep(0.2)
            late = await client.post(CHAT, json=chat())
            assert late.status_code == 503 and "stopping" in late.text
            done = await running
            assert done.status_code == 200
            assert done.json()["choices"][0]["finish_reason"] == "stop"
        assert server.wait(10) == 0
        assert server.stderr.read() == ""
