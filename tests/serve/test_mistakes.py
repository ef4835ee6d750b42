"""Bad input: one sentence that names it all, and nothing of the machine."""

import base64
import dataclasses
import json
import struct
import zlib

import pytest
import stand_in

pytestmark = pytest.mark.anyio
CHAT, DRAW = "/v1/chat/completions", "/v1/images/generations"
EDIT, EMBED = "/v1/images/edits", "/v1/embeddings"


def message(response, status=400):
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert "\n" not in error["message"] and "Traceback" not in error["message"]
    return error["message"]


async def test_all_mistakes_come_at_once(client):
    body = {"messages": [{"role": "usr", "content": 3}], "n": True, "top_p": "x"}
    told = message(await client.post(CHAT, json=body | {"sed": 1}))
    for part in (
        "messages[0].role 'usr' is none of",
        "did you mean 'user'",
        "messages[0].content is 3",
        "n is True and not a whole number",
        "top_p is 'x' and not a number",
    ):
        assert part in told
    told = message(await client.post(CHAT, json={"sed": 1}))
    assert "messages is missing" in told and "did you mean 'seed'" in told


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"[]", "not an object"),
        (b"\xff", "not JSON"),
        (b'{"n": NaN}', "NaN"),
        (b'{"n": ' + b"1" * 5000 + b"}", "not JSON"),
        (b'{"input": "\\ud800"}', "not Unicode"),
        (b'{"\\ud800": 1}', "not Unicode"),
        (b"[" * 100_000, "levels"),
    ],
)
async def test_bodies(client, body, told, served):
    served.limits = dataclasses.replace(served.limits, body_bytes=2**20)
    kind = {"content-type": "application/json"}
    assert told in message(await client.post(EMBED, content=body, headers=kind))


async def test_rescaling_that_would_compile_for_every_client(client):
    body = {"prompt": "a star", "rescale": 0.33}
    told = message(await client.post(DRAW, json=body))
    assert "rescale 0.33 is none of 0, 0.1" in told
    assert (await client.post(DRAW, json=body | {"rescale": 0.7})).status_code == 200


async def test_candidates_are_pictures_that_have_to_be_drawn(client, served):
    served.limits = dataclasses.replace(served.limits, pixels=3 * 8 * 8)
    body = {"prompt": "a star", "size": "8x8", "n": 2}
    told = message(await client.post(DRAW, json=body | {"best_of": 2}))
    assert "size times n times best_of is more than 192 pixels" in told
    told = message(await client.post(DRAW, json=body | {"best_of": 99}))
    assert "best_of 99 is not" in told
    assert (await client.post(DRAW, json=body | {"best_of": 1})).status_code == 200


async def test_types_that_any_page_may_send_are_refused(client):
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        sent = await client.post(
            CHAT,
            content=json.dumps({"messages": stand_in.says("hi")}),
            headers={"content-type": kind},
        )
        assert "application/json" in message(sent, 415)
    told = message(await client.post(EDIT, json={"prompt": "a"}), 415)
    assert "multipart/form-data" in told


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/a.png",
        "https://example.com/a.png",
        "file:///etc/passwd",
        "/etc/passwd",
        "data:text/html;base64,AAAA",
        "data:image/png,AAAA",
        "ftp://x",
        "",
    ],
)
async def test_nothing_is_fetched(client, url, monkeypatch):
    def refuse(*_):
        raise AssertionError("something was opened")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("builtins.open", refuse)
    told = message(await client.post(CHAT, json={"messages": stand_in.says("a", url)}))
    assert "image_url.url is" in told and "passwd" not in told
    told = message(await client.post(EMBED, json={"images": [url]}))
    assert "images[0] is" in told


def bomb():
    """A PNG of a few bytes that says it is 60000 x 60000."""

    def chunk(kind, data):
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(64)))
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (bomb(), "pixels"),
        (b"no picture", "not a readable picture"),
        (b"", "not a readable picture"),
        (stand_in.picture(64, 64)[:-30], "damaged or cut short"),
    ],
    ids=["bomb", "text", "empty", "truncated"],
)
async def test_pictures_that_are_none(client, data, told):
    url = stand_in.data_url(data)
    asked = {"messages": stand_in.says("a", url)}
    assert told in message(await client.post(CHAT, json=asked))
    assert told in message(await client.post(EMBED, json={"images": [url]}))
    edit = await client.post(EDIT, files={"image": data}, data={"prompt": "a"})
    assert told in message(edit)


async def test_damaged_base64(client):
    url = "data:image/png;base64," + base64.b64encode(b"abc").decode() + "!"
    asked = {"messages": stand_in.says("a", url)}
    assert "base64 is damaged" in message(await client.post(CHAT, json=asked))


@pytest.mark.parametrize(
    ("path", "body", "told"),
    [
        (CHAT, {"tools": [{}]}, "tools are not known"),
        (CHAT, {"response_format": {"type": "json_object"}}, "can only be text"),
        (CHAT, {"frequency_penalty": 0.5}, "use repetition_penalty"),
        (CHAT, {"stop": ["a"] * 5}, "at most 4"),
        (CHAT, {"think": "yes"}, "true or false"),
        (CHAT, {"stop": [""]}, "an empty one"),
        (CHAT, {"top_logprobs": 3}, "needs logprobs"),
        (CHAT, {"stream_options": 3}, "not an object"),
        (CHAT, {"messages": [{"role": "assistant", "content": "x"}]}, "end with"),
        (CHAT, {"messages": [{"role": "tool", "content": "x"}]}, "none of system"),
        (CHAT, {"messages": [{"role": "user", "content": " "}]}, "empty"),
        (CHAT, {"messages": []}, "0 messages"),
        (DRAW, {"size": "0x64"}, "form 64x64"),
        (DRAW, {"size": "8x99999"}, "pixels"),
        (DRAW, {"size": "source"}, "nor auto"),
        (DRAW, {"size": "16x16"}, "cannot be drawn"),
        (DRAW, {"response_format": "url"}, "b64_json"),
        (DRAW, {"guidance": -1}, "0 to 100"),
        (DRAW, {"sampler": "dmp"}, "did you mean 'dpm'"),
        (EMBED, {"input": [1, 2]}, "list of texts"),
        (EMBED, {"input": []}, "0 inputs"),
        (EMBED, {"dimensions": 3}, "leave it out"),
    ],
)
async def test_fields(client, path, body, told):
    whole = {
        CHAT: {"messages": stand_in.says("hi")},
        DRAW: {"prompt": "a"},
        EMBED: {"input": "a"},
    }
    assert told in message(await client.post(path, json=whole[path] | body))


async def test_what_asks_for_nothing_is_no_mistake(client):
    nothing = {"tools": [], "response_format": {"type": "text"}, "logit_bias": {}}
    nothing |= {"frequency_penalty": 0, "stop": None, "user": "me", "store": False}
    asked = {"messages": stand_in.says("hi")} | nothing
    assert (await client.post(CHAT, json=asked)).status_code == 200


async def test_forms(client):
    picture = {"image": stand_in.picture()}
    told = message(await client.post(EDIT, files=picture, data={"n": "x"}))
    assert "prompt is missing" in told and "n is 'x'" in told
    told = message(
        await client.post(EDIT, files=picture | {"mask": b""}, data={"prompt": "a"})
    )
    assert "say in words" in told
    told = message(await client.post(EDIT, files={"x": b""}, data={"image": "a"}))
    assert "image is a text" in told and "x is no field" in told
    kind = {"content-type": "multipart/form-data; boundary=x"}
    message(await client.post(EDIT, content=b"--y", headers=kind))
    kind = {"content-type": "multipart/form-data"}
    message(await client.post(EDIT, content=b"--y", headers=kind))


@pytest.mark.parametrize("stream", [False, True])
async def test_what_the_model_refuses(client, stream):
    asked = {"messages": stand_in.says("a bridge error"), "stream": stream}
    told = message(await client.post(CHAT, json=asked))
    assert told == "too long: the file a file has it"


async def test_bugs_say_nothing_of_the_machine(client, caplog):
    asked = {"messages": stand_in.says("a bug")}
    told = message(await client.post(CHAT, json=asked), 500)
    assert "secret" not in told and "its log" in told
    assert "/somewhere/secret" in caplog.text


async def test_addresses_and_methods(client):
    assert "no such address" in message(await client.get("/v2"), 404)
    assert "method" in message(await client.get(CHAT), 405)
