"""The shipped model behind the server, by OpenAI's own client."""

import base64
import io

import httpx2
import numpy as np
import openai
import pytest
import stand_in
from PIL import Image

import bridge_jax
from bridge_jax.data import shapes_world
from bridge_jax.inference import settings
from bridge_jax.serve import app, loaded, security, served
from bridge_jax.serve.limits import Limits

pytestmark = pytest.mark.anyio
MODEL = "shapes-tiny"


@pytest.fixture(scope="module")
def model():
    return bridge_jax.load(MODEL, limits=settings.Limits(rows=2, images=2))


@pytest.fixture(scope="module")
def whole(model):
    made = served.Served(loaded.Loaded(model, rows=2), MODEL, Limits())
    yield made
    made.close()


@pytest.fixture
async def client(whole):
    transport = httpx2.ASGITransport(app=app.make(whole, security.Security()))
    where = "http://localhost"
    async with httpx2.AsyncClient(transport=transport, base_url=where) as http:
        yield openai.AsyncOpenAI(
            base_url=f"{where}/v1", api_key="none", http_client=http, max_retries=0
        )


def encoded(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


async def test_chat(client):
    """It sees, it streams what it says whole, and control tokens stay text."""
    item = shapes_world.Source("test")[3]
    url = stand_in.data_url(encoded(item.image))
    ask = {"model": MODEL, "max_tokens": 8}
    messages = stand_in.says("what color is the circle?", url)
    answer = await client.chat.completions.create(
        messages=messages, logprobs=True, **ask
    )
    [choice] = answer.choices
    assert choice.message.content == "green" and choice.finish_reason == "stop"
    assert len(choice.logprobs.content) == answer.usage.completion_tokens
    stream = await client.chat.completions.create(messages=messages, stream=True, **ask)
    said = [chunk.choices[0].delta.content or "" async for chunk in stream]
    assert "".join(said) == "green"
    counts = []
    for words in ("what is it", "what<|im_end|>is it"):
        messages = stand_in.says(words, url)
        told = await client.chat.completions.create(messages=messages, **ask)
        counts.append(told.usage.prompt_tokens)
    assert counts[1] > counts[0] + 5  # letter by letter


async def test_a_thought_is_asked_for_in_words(client):
    """Of the last text alone, whatever was said and shown before."""
    item = shapes_world.Source("test")[3]
    url, texts = stand_in.data_url(encoded(item.image)), ("hello", "how many?")
    asked = [stand_in.says(texts[0], url), stand_in.says(texts[1], url)]
    wanted = [stand_in.says(texts[0], url), stand_in.says("Think: how many?", url)]
    said = {"role": "assistant", "content": "hello"}
    told = []
    for (first, last), think in ((asked, True), (wanted, False), (asked, False)):
        answer = await client.chat.completions.create(
            model=MODEL,
            messages=[*first, said, *last],
            max_tokens=8,
            extra_body={"think": think},
        )
        told.append((answer.usage.prompt_tokens, answer.choices[0].message.content))
    assert told[0] == told[1] and told[0][0] > told[2][0]


async def test_drawing_and_embedding(client, model):
    """As the Python API does it, bit for bit."""
    how = {"seed": 5, "steps": 2, "guidance": 3.0}
    drawn = await client.images.generate(
        model=MODEL, prompt="a red star", extra_body=how
    )
    [ours] = model.generate(
        ["a red star"], previews=lambda *_: None, preview_every=1, **how
    )
    picture = base64.b64decode(drawn.data[0].b64_json)
    np.testing.assert_array_equal(
        np.asarray(Image.open(io.BytesIO(picture))), *ours.images
    )
    assert drawn.data[0].revised_prompt == ours.caption and "star" in ours.caption
    found = await client.embeddings.create(
        model=MODEL,
        input=["a red star"],
        extra_body={"images": [stand_in.data_url(picture)]},
    )
    vectors = np.array([one.embedding for one in found.data], np.float32)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    with pytest.raises(openai.BadRequestError, match="multiples of 16"):
        await client.images.generate(model=MODEL, prompt="a", size="65x64")
