"""Answers from rows that are given anew are those of whole batches."""

import dataclasses

import numpy as np
import pytest

from bridge_jax.core.errors import BridgeError
from bridge_jax.inference import batching, inputs, settings
from bridge_jax.inference.answering import continuous, decode, looking
from bridge_jax.inference.engine import Engine

COUNT, ROWS, NEW = 21, 4, 40
STOPS = tuple(range(0, 560, 23))


@pytest.fixture(scope="module")
def asked(model, pictures):
    """Questions of many lengths, every third about a picture."""
    seen = inputs.pictures(list(pictures), model.processor)
    made = []
    for number in range(COUNT):
        shown = (seen[number % len(seen)],) if number % 3 == 0 else ()
        text = f"how many {'red stars and ' * (number % 5)}circles are there? {number}"
        row = looking.conversation(model.engine, (), text).row
        if shown:
            content = [{"type": "image"}, {"type": "text", "text": text}]
            said = [{"role": "user", "content": content}]
            grid = shown[0].patches()[1]
            row = model.processor.render(said, [grid], answer=True)
        made.append(decode.Conversation(row, shown))
    return made


def engine_of(model, layout=None):
    limits = dataclasses.replace(settings.DEFAULT_LIMITS, rows=ROWS)
    return Engine(
        model.engine.bundle, model.processor, layout or model.engine.layout, limits
    )


@pytest.fixture
def stop_at(monkeypatch):
    """These tokens end an answer, so that rows stop at all times."""
    common = decode.common

    def tokens(stops):
        def given(engine, choice):
            _, shared = common(engine, choice)
            return stops, shared | {"stops": np.asarray(stops, np.int32)}

        monkeypatch.setattr(decode, "common", given)

    return tokens


def test_answers_are_those_of_batches(model, asked, stop_at):
    """Drawn: what is likeliest hardly varies in a random model (see tests/presets)."""
    stop_at(STOPS)
    engine = engine_of(model)
    choice = decode.Choice(NEW, 1.0, seed=5)
    numbers = np.arange(COUNT, dtype=np.uint32)
    given = engine, model.params, asked, choice, numbers
    expected, found = decode.answers(*given), continuous.answers(*given)
    lengths = [len(answer.tokens) for answer in expected]
    assert len(set(lengths)) > 5, lengths
    for one, other in zip(found, expected, strict=True):
        assert one.tokens.tolist() == other.tokens.tolist()
        assert (one.text, one.finished) == (other.text, other.finished)


def test_rows_are_given_anew_as_they_stop(model, asked, stop_at, monkeypatch):
    """Not more tokens are decoded than in batches that wait for their longest."""
    stop_at(STOPS)
    engine, admitted, steps = engine_of(model), [], []
    admit, run = continuous._admit, engine.advance

    def counted(engine, params, state, shared, free, taken, *rest):
        admitted.append((sorted(free.tolist()), list(taken)))
        return admit(engine, params, state, shared, free, taken, *rest)

    def stepped(program, *rest, **static):
        steps.append(program is continuous.advance)
        return run(program, *rest, **static)

    monkeypatch.setattr(continuous, "_admit", counted)
    monkeypatch.setattr(engine, "advance", stepped)
    choice = decode.Choice(NEW, 1.0, seed=5)
    found = continuous.answers(
        engine, model.params, asked, choice, np.arange(COUNT, dtype=np.uint32)
    )
    taken = [one for _, some in admitted for one in some]
    assert sorted(taken) == list(range(COUNT))
    assert len(admitted) > COUNT // ROWS
    order = batching.by_size([one.size for one in asked])
    whole = sum(
        max(len(found[i].tokens) for i in order[start : start + ROWS])
        for start in range(0, COUNT, ROWS)
    )
    assert sum(steps) * continuous.STEPS < 1.1 * whole + continuous.STEPS * ROWS


def test_few_and_none_are_answered(model, asked):
    engine, choice = engine_of(model), decode.Choice(3)
    for count in (0, 1, 3):
        numbers = np.zeros(count, np.uint32)
        given = engine, model.params, asked[:count], choice, numbers
        found = continuous.answers(*given)
        assert [a.tokens.tolist() for a in found] == [
            a.tokens.tolist() for a in decode.answers(*given)
        ]


def test_what_leaves_no_room_is_told(model, asked):
    with pytest.raises(BridgeError, match="must lie between 1 and the context"):
        continuous.answers(
            engine_of(model), model.params, asked, decode.Choice(0), np.zeros(COUNT)
        )
