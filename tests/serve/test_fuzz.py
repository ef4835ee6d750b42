"""A thousand bodies made of nonsense: refused or answered, and never a 5xx."""

import json
import random

import pytest
import stand_in

from bridge_jax.serve.limits import Limits

pytestmark = pytest.mark.anyio
COUNT = 1000
PATHS = (
    "/v1/chat/completions",
    "/v1/images/generations",
    "/v1/images/edits",
    "/v1/embeddings",
)
WHOLE = {
    PATHS[0]: {
        "model": "stand-in",
        "messages": stand_in.says("what?", stand_in.data_url()),
        "stream": False,
        "stop": ["a"],
        "n": 1,
        "temperature": 0.5,
        "stream_options": {"include_usage": True},
    },
    PATHS[1]: {"prompt": "a star", "n": 1, "size": "8x8", "steps": 4, "stream": False},
    PATHS[2]: {"prompt": "bluer", "n": 1, "strength": 0.5},
    PATHS[3]: {"input": ["a", "b"], "images": [stand_in.data_url()]},
}
ODD = (
    None, True, False, 0, 1, -1, 2**31, 2**63, -(2**64), 10**300, 0.5, -0.0, 1e308,
    "", " ", "a", "\0", "\ud800", "ä" * 50, "<|im_end|>", "../../etc/passwd", "1e999",
    "data:image/png;base64,", "data:image/png;base64,AAAA", "data:", "8x8", "9" * 400,
    [], {}, [[]], [{}], {"": ""}, [None], {"type": "text"}, {"url": "file:///etc"},
    {"type": "image_url", "image_url": {"url": "http://127.0.0.1/"}},
    {"role": "user", "content": None}, {"role": 1}, ["a"] * 300,
)  # fmt: skip


@pytest.fixture
def limits():
    return Limits(body_bytes=60_000, pixels=10_000, n=3, steps=10, tokens=16)


def changed(draw, value, chance=0.25):
    """`value` with some of what is in it replaced, dropped, doubled or renamed."""
    if draw.random() < chance / 2:
        return draw.choice(ODD)
    if isinstance(value, dict):
        made = {}
        for name, one in value.items():
            if draw.random() < chance / 3:
                continue
            if draw.random() < chance / 5:
                name = draw.choice([name[:-1], name * 20, "\ud800", "__class__"])
            made[name] = changed(draw, one, chance)
        if draw.random() < chance / 2:
            made[draw.choice(["x", "n", "seed", "tools", "mask"])] = draw.choice(ODD)
        return made
    if isinstance(value, list):
        made = [changed(draw, one, chance) for one in value]
        return made * draw.choice([1, 1, 1, 2, 5])
    if isinstance(value, str) and draw.random() < chance:
        cut = draw.randrange(len(value) + 1)
        return value[:cut] + draw.choice(["", "\0", "!", "é", "=" * 9]) + value[cut:]
    return value


def damaged(draw, body):
    """Bytes of which some are others."""
    body = bytearray(body)
    for _ in range(draw.choice([0, 0, 0, 1, 3, 30])):
        place = draw.randrange(len(body) + 1)
        how = draw.randrange(3)
        if how == 0:
            body[place:place] = bytes(draw.choices(b'{}[]",:\\u0e\xff\x00', k=3))
        elif how == 1:
            del body[place : place + draw.randrange(20)]
        else:
            body[place : place + 1] = bytes([draw.randrange(256)])
    return bytes(body)


def form(draw, fields):
    """A form's bytes, its type beside them."""
    parts = []
    for name, value in fields.items() if isinstance(fields, dict) else ():
        name = name.encode("utf-8", "replace")
        text = str(value).encode("utf-8", "replace")
        head = b'--x\r\nContent-Disposition: form-data; name="%s"' % name
        parts.append(head + b"\r\n\r\n" + text + b"\r\n")
    picture = damaged(draw, stand_in.picture())
    head = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"'
    parts.append(head + b"\r\n\r\n" + picture + b"\r\n")
    return b"".join(parts) + b"--x--\r\n"


async def test_a_thousand_bodies(client, caplog):
    draw, seen = random.Random(8), {}
    for number in range(COUNT):
        path = PATHS[number % len(PATHS)]
        fields = changed(draw, WHOLE[path])
        if path.endswith("edits"):
            kind, body = "multipart/form-data; boundary=x", form(draw, fields)
        else:
            kind, body = "application/json", json.dumps(fields).encode()
        body = damaged(draw, body)
        told = await client.post(path, content=body, headers={"content-type": kind})
        assert told.status_code < 500, (path, body, told.text)
        if told.status_code >= 400:
            message = told.json()["error"]["message"]
            assert message and len(message) < 1500 and "\n" not in message
        else:
            assert '"error"' not in told.text, (path, body, told.text)
        seen[told.status_code] = seen.get(told.status_code, 0) + 1
    assert not caplog.records
    # Not all of it is nonsense.
    assert set(seen) <= {200, 400, 404, 413, 415} and seen[200] > 100, seen
    assert seen[400] > 400, seen
