"""Every limit: as much as it says goes through, and one more is refused."""

import asyncio
import dataclasses
import json

import pytest
import stand_in

from bridge_jax.core.errors import BridgeError
from bridge_jax.serve import limits as limits_lib

pytestmark = pytest.mark.anyio
CHAT, DRAW = "/v1/chat/completions", "/v1/images/generations"
EDIT, EMBED = "/v1/images/edits", "/v1/embeddings"


def chat(text="hi", *urls, **more):
    return {"messages": stand_in.says(text, *urls)} | more


def nested(depth):
    """Objects and lists within each other, the body among them."""
    value = []
    for _ in range(depth - 2):
        value = [value]
    return chat(metadata=value)


def of_pixels(count):
    """Two pictures of so many pixels together."""
    sizes = [(99, 100), (1, count - 9900)]
    return [stand_in.data_url(stand_in.picture(*size)) for size in sizes]


# endpoint, what it is asked with n, status of one more, what the message names
CASES = {
    "json_depth": (CHAT, nested, 400, "8 levels"),
    "messages": (CHAT, lambda n: {"messages": stand_in.says("hi") * n}, 400, "1 to 4"),
    "characters": (CHAT, lambda n: chat("a" * n), 400, "500"),
    "pictures": (CHAT, lambda n: chat("hi", *[stand_in.data_url()] * n), 400, "most 2"),
    "pixels": (CHAT, lambda n: chat("hi", *of_pixels(n)), 400, "10,000"),
    "tokens": (CHAT, lambda n: chat(max_tokens=n), 400, "1 to 16"),
    "n": (CHAT, lambda n: chat(n=n), 400, "1 to 3"),
    "steps": (DRAW, lambda n: {"prompt": "a", "steps": n}, 400, "1 to 10"),
    "inputs": (EMBED, lambda n: {"input": ["a"] * n}, 400, "1 to 4"),
}
ALSO = {
    "n": (DRAW, lambda n: {"prompt": "a", "n": n}, 400, "1 to 3"),
    "characters": (DRAW, lambda n: {"prompt": "a" * n}, 400, "500"),
    "inputs": (
        EMBED,
        lambda n: {"input": ["a"], "images": [stand_in.data_url()] * (n - 1)},
        400,
        "1 to 4",
    ),
}


@pytest.fixture
def limits():
    return limits_lib.Limits(
        body_bytes=60_000, json_depth=8, messages=4, characters=500, pictures=2,
        pixels=10_000, tokens=16, n=3, steps=10, inputs=4,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "case"),
    [*CASES.items(), *ALSO.items()],
    ids=[f"{name}{case[0]}" for name, case in [*CASES.items(), *ALSO.items()]],
)
async def test_at_the_limit_and_above(client, limits, name, case):
    path, body, status, told = case
    most = getattr(limits, name)
    within = await client.post(path, json=body(most))
    assert within.status_code == 200, within.text
    above = await client.post(path, json=body(most + 1))
    assert above.status_code == status
    assert told in above.json()["error"]["message"], above.text


@pytest.mark.parametrize("announced", [True, False])
async def test_bytes_of_a_body(client, limits, announced):
    body = json.dumps(chat()).encode()
    body += b" " * (limits.body_bytes - len(body))

    async def pieces(body):
        for start in range(0, len(body), 10_000):
            yield body[start : start + 10_000]

    async def send(body):
        content = body if announced else pieces(body)
        kind = {"content-type": "application/json"}
        return await client.post(CHAT, content=content, headers=kind)

    assert (await send(body)).status_code == 200
    above = await send(body + b" ")
    assert above.status_code == 413 and "60,000 bytes" in above.text


async def test_pictures_of_a_form(client):
    files = [("image", stand_in.picture())]
    one = await client.post(EDIT, files=files, data={"prompt": "a"})
    assert one.status_code == 200
    for count, told in ((2, "at most 1"), (3, "Too many files")):
        many = await client.post(EDIT, files=files * count, data={"prompt": "a"})
        assert many.status_code == 400 and told in many.text, many.text


async def test_a_body_that_does_not_arrive_in_time(connect, served):
    served.limits = dataclasses.replace(served.limits, body_seconds=1)

    async def body():
        yield b"{"
        await asyncio.sleep(2)

    async with connect() as client:
        kind = {"content-type": "application/json"}
        late = await client.post(CHAT, content=body(), headers=kind)
    assert late.status_code == 408 and late.json()["error"]["type"] == "timeout_error"


def test_limits_are_at_least_one():
    with pytest.raises(BridgeError, match=r"--max-n 0 .*--max-steps -1 is not"):
        limits_lib.Limits(n=0, steps=-1)
