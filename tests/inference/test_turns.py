"""Conversations as they are given, pictures where they stand."""

import dataclasses

import langbridge_models
import numpy as np
import pytest

import bridge_jax
from bridge_jax.core.errors import BridgeError
from bridge_jax.data import processor as processor_lib
from bridge_jax.inference import inputs
from bridge_jax.inference.answering import decode, turns
from bridge_jax.inference.engine import Engine
from bridge_jax.inference.model import Model

CHOICE = decode.Choice(6)
IMAGE = {"type": "image"}


@pytest.fixture(scope="module")
def straight(model):
    """A model that does not look first."""
    config = dataclasses.replace(model.processor.config, instructions="full")
    e = model.engine
    engine = Engine(e.bundle, processor_lib.Processor(config), e.layout, e.limits)
    return Model(engine, model.params)


def text(words):
    return {"type": "text", "text": words}


def test_a_single_turn_is_what_chat_asks(straight, pictures):
    asked = straight.chat(
        [pictures[0], None], ["what is it?", "why?"], max_new_tokens=6
    )
    user = {"role": "user", "content": [IMAGE, text("what is it?")]}
    plain = {"role": "user", "content": "why?"}
    found = turns.replies(
        straight.engine,
        straight.params,
        [[user], [plain]],
        [[pictures[0]], []],
        CHOICE,
    )
    for ours, theirs in zip(found, asked, strict=True):
        assert ours.tokens.tolist() == theirs.tokens.tolist()


def test_turns_and_pictures_keep_their_places(model, pictures, monkeypatch):
    """What the decoder is given: it is compared with full passes elsewhere."""
    taken = []
    monkeypatch.setattr(
        decode,
        "answers",
        lambda engine, params, asked, choice, numbers: taken.extend(
            [*asked, choice, numbers]
        ),
    )
    user = {"role": "user", "content": [text("a"), IMAGE, text("b"), IMAGE]}
    longer = [user, {"role": "assistant", "content": "so"}, user]
    images = [pictures[1::-1], [*pictures[:2], *pictures[1::-1]]]
    turns.replies(model.engine, model.params, [[user], longer], images, CHOICE)
    *asked, choice, numbers = taken
    assert choice == CHOICE and len(set(numbers.tolist())) == 2
    for one, messages, shown in zip(asked, ([user], longer), images, strict=True):
        opened = inputs.pictures(shown, model.processor)
        grids = [picture.grid for picture in opened]
        right = model.processor.render(messages, grids, answer=True)
        np.testing.assert_array_equal(one.row.tokens, right.tokens)
        for ours, theirs in zip(one.pictures, opened, strict=True):
            np.testing.assert_array_equal(ours.pixels, theirs.pixels)


def test_pictures_and_mentions_must_match(model, pictures):
    asked = [{"role": "user", "content": [IMAGE]}]
    with pytest.raises(BridgeError, match="1 images are mentioned and 2 given"):
        turns.replies(model.engine, model.params, [asked], [pictures[:2]], CHOICE)


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({}, "its vlm has the tower 'given', which is none"),
        ({"family": "decoder_lm", "size": "tiny"}, "its vlm is decoder_lm"),
    ],
)
def test_a_model_without_eyes_answers_text_alone(tmp_path, table, told):
    folder = langbridge_models.write(tmp_path / "llm", "words-llama3", table=table)
    llm = bridge_jax.load(folder)
    [answer] = llm.chat([None], ["How many?"], max_new_tokens=3)
    assert len(answer.tokens) <= 3
    with pytest.raises(BridgeError, match=f"cannot look at pictures: {told}"):
        llm.chat([np.zeros((64, 64, 3), np.uint8)], ["How many?"])
