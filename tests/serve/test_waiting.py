"""Who waits and for how long: back-pressure, time-outs, clients that leave, the end."""

import asyncio
import dataclasses

import pytest
import stand_in

pytestmark = pytest.mark.anyio
CHAT, DRAW = "/v1/chat/completions", "/v1/images/generations"


def chat(text="one two three", **more):
    return {"messages": stand_in.says(text)} | more


async def until(condition):
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never came to that")


def inside(line):
    return line.running, line.waiting


@pytest.fixture
async def held(client, backend, served):
    """Two requests that run and two that wait, as many as the limits allow."""
    backend.hold()
    asked = [asyncio.create_task(client.post(CHAT, json=chat())) for _ in range(4)]
    await until(lambda: inside(served.chats) == (2, 2))
    yield asked
    backend.release()
    await asyncio.gather(*asked, return_exceptions=True)


async def test_more_than_may_wait_are_told_when_to_come_back(client, backend, held):
    busy = await client.post(CHAT, json=chat())
    assert busy.status_code == 429 and 1 <= int(busy.headers["retry-after"]) <= 60
    assert "2 requests wait already" in busy.json()["error"]["message"]
    # The other lines are free.
    backend.release()
    assert [one.status_code for one in await asyncio.gather(*held)] == [200] * 4
    assert (await client.post(CHAT, json=chat())).status_code == 200


async def test_one_kind_of_work_does_not_wait_for_another(client, held, served):
    assert inside(served.drawings) == (0, 0)
    models = await client.get("/v1/models")
    assert models.status_code == 200


@pytest.mark.parametrize("which", [0, 3], ids=["runs", "waits"])
async def test_who_leaves_frees_a_place(client, backend, served, held, which):
    held[which].cancel()
    if which == 3:
        await until(lambda: inside(served.chats) == (2, 1))
        backend.release()
        others = await asyncio.gather(*held, return_exceptions=True)
        assert [one.status_code for one in others[:3]] == [200] * 3
        assert len(backend.asked) == 3
    else:
        await until(lambda: backend.cancelled == 1)
        backend.release()
        await until(lambda: inside(served.chats) == (0, 0))
        assert len(backend.asked) == 4


async def test_who_leaves_a_stream(connect, backend, served):
    async with connect() as client:
        backend.hold()
        task = asyncio.create_task(client.post(CHAT, json=chat(stream=True)))
        await until(lambda: served.chats.running == 1)
        task.cancel()
        await until(lambda: backend.cancelled >= 1)
        backend.release()
        await until(lambda: inside(served.chats) == (0, 0))
        await until(lambda: served.inside == 0)


async def test_drawings_end_where_nobody_looks(client, backend, served):
    backend.hold()
    task = asyncio.create_task(client.post(DRAW, json={"prompt": "a", "steps": 10}))
    await until(lambda: served.drawings.running == 1)
    task.cancel()
    await until(lambda: served.inside == 0)
    backend.release()
    await until(lambda: served.drawings.running == 0)
    assert "bridge_made_total{" not in served.metrics.text().decode()


async def test_time_runs_out(client, backend, served):
    served.chats.allowed = 0.05
    backend.hold()
    late = await client.post(CHAT, json=chat())
    assert late.status_code == 504 and late.json()["error"]["type"] == "timeout_error"
    assert backend.cancelled == 1
    streamed = await client.post(CHAT, json=chat(stream=True))
    assert streamed.status_code == 200
    assert '"timeout_error"' in streamed.text and "[DONE]" not in streamed.text


async def test_at_the_end_what_runs_finishes_and_what_comes_is_told(
    client, backend, served, held
):
    assert (await client.get("/healthz")).json() == {"status": "ok"}
    served.stopping = True
    late = await client.post(CHAT, json=chat())
    assert late.status_code == 503 and "retry-after" in late.headers
    assert (await client.get("/healthz")).status_code == 503
    assert (await client.get("/metrics")).status_code == 200
    backend.release()
    assert [one.status_code for one in await asyncio.gather(*held)] == [200] * 4


async def test_figures(client, held, served):
    text = (await client.get("/metrics")).text
    assert "bridge_chats_running 2.0" in text and "bridge_chats_waiting 2.0" in text
    await client.post(CHAT, json={})
    await client.post("/nowhere")
    text = (await client.get("/metrics")).text
    told = 'bridge_requests_total{route="/v1/chat/completions",status="400"} 1.0'
    assert told in text
    assert 'bridge_requests_total{route="other",status="404"} 1.0' in text
    assert "process_resident_memory_bytes" in text


async def test_what_was_made_is_counted(client, served):
    await client.post(CHAT, json=chat("one two three", n=2))
    await client.post(DRAW, json={"prompt": "a", "n": 3})
    await client.post("/v1/embeddings", json={"input": ["a", "b"]})
    text = (await client.get("/metrics")).text
    for what, count in (("tokens", 6), ("pictures", 3), ("embeddings", 2)):
        assert f'bridge_made_total{{what="{what}"}} {count}.0' in text


async def test_a_mistake_after_the_first_words(client, backend, served, monkeypatch):
    def broken(self):
        yield stand_in.Piece("one ", None)
        raise RuntimeError("/secret/path")

    monkeypatch.setattr(stand_in.Reply, "__iter__", broken)
    told = await client.post(CHAT, json=chat(stream=True))
    assert told.status_code == 200 and '"server_error"' in told.text
    assert "secret" not in told.text and "[DONE]" not in told.text


def test_all_limits_have_flags(limits):
    import argparse

    from bridge_jax.serve import limits as limits_lib

    parser = argparse.ArgumentParser()
    limits_lib.add_arguments(parser)
    assert limits_lib.of(parser.parse_args([])) == limits_lib.Limits()
    given = limits_lib.of(parser.parse_args(["--max-body-seconds", "7"]))
    assert given == dataclasses.replace(limits_lib.Limits(), body_seconds=7)
