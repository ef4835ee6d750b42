"""OpenAI's own Python client, unmodified, with every endpoint."""

import base64
import io

import numpy as np
import openai
import pytest
import stand_in
from PIL import Image

pytestmark = pytest.mark.anyio
MODEL = "stand-in"


async def test_models(official):
    listed = await official.models.list()
    assert [one.id for one in listed.data] == [MODEL]
    assert (await official.models.retrieve(MODEL)).id == MODEL
    with pytest.raises(openai.NotFoundError, match="no such model"):
        await official.models.retrieve("gpt-4o")


async def test_chat(official, backend):
    answer = await official.chat.completions.create(
        model=MODEL,
        messages=[
            {"role": "developer", "content": "be short"},
            {"role": "user", "content": "hello"},
            {"role": "assistant", "content": "hello, too"},
            *stand_in.says("what is it?", stand_in.data_url(), stand_in.data_url()),
        ],
        n=2,
        seed=7,
        temperature=0.5,
        top_p=0.9,
        stop=["."],
        max_completion_tokens=16,
        extra_body={"top_k": 3, "min_p": 0.1, "repetition_penalty": 1.1, "think": True},
    )
    said = "be shorthellohello, too<picture><picture>what is it? "
    assert [one.message.content for one in answer.choices] == [said] * 2
    assert {one.finish_reason for one in answer.choices} == {"stop"}
    assert answer.usage.total_tokens == 5 + 2 * 5
    [ask] = backend.asked
    assert [one["role"] for one in ask.messages] == [
        "system",
        "user",
        "assistant",
        "user",
    ]
    assert [part["type"] for part in ask.messages[-1]["content"]] == [
        "image",
        "image",
        "text",
    ]
    assert (ask.n, ask.seed, ask.temperature, ask.top_p) == (2, 7, 0.5, 0.9)
    assert (ask.top_k, ask.min_p, ask.repetition_penalty) == (3, 0.1, 1.1)
    assert ask.think
    assert (ask.stop, ask.max_tokens, len(ask.pictures)) == ((".",), 16, 2)


async def test_chat_is_cut_short(official):
    answer = await official.chat.completions.create(
        model=MODEL, messages=stand_in.says("one two three"), max_tokens=2
    )
    assert answer.choices[0].finish_reason == "length"
    assert answer.choices[0].message.content == "one two "


async def test_chat_streams(official):
    stream = await official.chat.completions.create(
        model=MODEL,
        messages=stand_in.says("one two three"),
        stream=True,
        stream_options={"include_usage": True},
        n=2,
        logprobs=True,
    )
    said, ends, logprobs, usage = ["", ""], {}, [], None
    async for chunk in stream:
        usage = chunk.usage or usage
        for choice in chunk.choices:
            said[choice.index] += choice.delta.content or ""
            if choice.finish_reason:
                ends[choice.index] = choice.finish_reason
            if choice.logprobs:
                logprobs += [one.logprob for one in choice.logprobs.content]
    assert said == ["one two three "] * 2 and ends == {0: "stop", 1: "stop"}
    assert logprobs == [-0.5] * 6 and usage.completion_tokens == 6


async def test_logprobs(official):
    answer = await official.chat.completions.create(
        model=MODEL, messages=stand_in.says("one two"), logprobs=True, top_logprobs=2
    )
    told = answer.choices[0].logprobs.content
    assert [(one.token, one.logprob) for one in told] == [
        ("one ", -0.5),
        ("two ", -0.5),
    ]
    assert bytes(told[0].bytes) == b"one " and len(told[0].top_logprobs) == 2


def opened(text):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))))


async def test_generations(official, backend):
    drawn = await official.images.generate(
        model=MODEL,
        prompt="a star",
        n=2,
        size="8x8",
        response_format="b64_json",
        extra_body={
            "seed": 3,
            "steps": 4,
            "guidance": 2.5,
            "negative_prompt": "red",
            "rewrite": False,
            "condition": "text",
            "best_of": 3,
        },
    )
    assert [opened(one.b64_json).shape for one in drawn.data] == [(8, 8, 3)] * 2
    assert drawn.data[0].revised_prompt == "a caption of a star"
    [wish] = backend.asked
    assert (wish.n, wish.size, wish.picture) == (2, (8, 8), None)
    told = {"seed": 3, "steps": 4, "guidance": 2.5, "negative": "red"}
    told |= {"rewrite": False, "condition": "text", "sampler": "dpm", "rescale": 0.0}
    told |= {"best_of": 3}
    assert wish.choices == told


async def test_generations_stream_previews(official):
    stream = await official.images.generate(
        model=MODEL,
        prompt="a star",
        stream=True,
        partial_images=2,
        n=2,
        extra_body={"steps": 9},
    )
    events = [event async for event in stream]
    kinds = [event.type.removeprefix("image_generation.") for event in events]
    assert kinds == ["partial_image"] * 4 + ["completed"] * 2
    assert [(one.partial_image_index, one.step) for one in events[:4]] == [
        (0, 3),
        (0, 3),
        (1, 6),
        (1, 6),
    ]
    assert {opened(event.b64_json).shape for event in events} == {(8, 8, 3)}
    assert events[-1].revised_prompt == "a caption of a star"


async def test_edits(official, backend):
    picture = stand_in.picture()
    drawn = await official.images.edit(
        model=MODEL,
        image=picture,
        prompt="make it blue",
        n=2,
        size="source",
        extra_body={"steps": 3, "strength": 0.5, "seed": 9},
    )
    assert len(drawn.data) == 2 and drawn.data[0].revised_prompt.endswith("it blue")
    [wish] = backend.asked
    assert (wish.picture, wish.n, wish.size) == (picture, 2, "source")
    assert (wish.choices["strength"], wish.choices["steps"]) == (0.5, 3)
    stream = await official.images.edit(
        model=MODEL, image=[picture], prompt="x", stream=True, partial_images=1
    )
    kinds = [event.type async for event in stream]
    assert kinds == ["image_edit.partial_image", "image_edit.completed"]


@pytest.mark.parametrize("packing", [None, "float", "base64"])
async def test_embeddings(official, packing):
    how = {} if packing is None else {"encoding_format": packing}
    found = await official.embeddings.create(model=MODEL, input=["abc", "de"], **how)
    if packing == "base64":
        packed = base64.b64decode(found.data[0].embedding)
        assert np.frombuffer(packed, "<f4").tolist() == [3, 0, 1]
        return
    assert [one.embedding for one in found.data] == [[3, 0, 1], [2, 0, 1]]
    assert found.usage.prompt_tokens == 2


async def test_embeddings_of_pictures(official):
    images = [stand_in.data_url(stand_in.picture(level=level)) for level in (5, 6)]
    found = await official.embeddings.create(
        model=MODEL, input="abc", extra_body={"images": images}
    )
    assert [one.embedding for one in found.data] == [[3, 0, 1], [0, 5, 1], [0, 6, 1]]


async def test_mistakes_are_its_own_exceptions(official):
    with pytest.raises(openai.BadRequestError, match="temperature 9 is not") as told:
        await official.chat.completions.create(
            model=MODEL, messages=stand_in.says("hi"), temperature=9, n=0
        )
    assert told.value.body["type"] == "invalid_request_error"
    assert "n 0 is not from 1 to 3" in told.value.body["message"]
    with pytest.raises(openai.NotFoundError):
        await official.embeddings.create(model="other", input="x")
