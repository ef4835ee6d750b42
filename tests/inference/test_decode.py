"""Answers: cached decoding against full passes, stops, and indifference to batches."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import chat, rows
from bridge_jax.data import processor as processor_lib
from bridge_jax.inference import batching, inputs, results
from bridge_jax.inference.answering import decode, looking
from bridge_jax.inference.engine import Engine
from bridge_jax.layers import kv_cache as kv

NEW = 6
QUESTIONS = ["how many?", "is there a red circle left of the two blue stars?", "why?"]


@pytest.fixture(scope="module")
def answers(model, pictures):
    images = [pictures[0], None, pictures[1]]
    return model.chat(images, QUESTIONS, max_new_tokens=NEW)


def test_a_thought_is_asked_for_in_words(model, pictures):
    images = [pictures[0], None]
    thought = model.chat(images, QUESTIONS[:2], max_new_tokens=NEW, think=True)
    asked = [f"Think: {question}" for question in QUESTIONS[:2]]
    for one, other in zip(
        thought, model.chat(images, asked, max_new_tokens=NEW), strict=True
    ):
        assert one.text == other.text and one.prompt_tokens == other.prompt_tokens
    spoken = dataclasses.replace(thought[0], text="left, top: 2")
    assert spoken.conclusion == "2"


def _full_pass(model, tokens, picture):
    """The likeliest next token, by one pass without a cache, padded on the right."""
    engine, length = model.engine, 192
    processor = engine.processor

    @jax.jit
    def after(params, fields, last):
        fields = dict(fields, positions=fields["positions"][:, None])
        others = {k: v[None] for k, v in fields.items() if k != "positions"}
        others["positions"] = fields["positions"]
        hidden, _ = engine.bundle.apply("vlm", params, **others)
        return engine.bundle.apply("vlm", params, hidden, method="logits")[0, last]

    seen = processor.look_at(picture)
    shown = tuple(inputs.pictures([picture], processor))
    [look] = looking.descriptions(engine, model.params, [shown])
    row = looking.conversation(engine, shown, QUESTIONS[0], look).row
    for _ in range(tokens):
        fields = rows.language([row], length, processor.llm.pad_id)
        fields = {k: v for k, v in fields.items() if k not in ("response", "caption")}
        fields |= rows.vision([seen], seen[0].shape[0], processor.patch_width)
        scores = after(model.params, fields, len(row.tokens) - 1)
        token = int(jnp.argmax(scores))
        yield token
        more = {name: np.append(getattr(row, name), False) for name in FLAGS}
        row = type(row)(np.append(row.tokens, np.int32(token)), grids=row.grids, **more)


FLAGS = ("response", "caption", "visual")


def test_cached_decoding_equals_full_passes(model, answers, pictures):
    expected = list(_full_pass(model, NEW, pictures[0]))
    assert answers[0].tokens.tolist() == expected
    assert len(set(expected)) > 1  # a constant answer would prove little
    assert not answers[0].finished


def test_an_answer_does_not_depend_on_its_batch(model, answers, pictures):
    again = model.chat(
        [pictures[1], pictures[0]], [QUESTIONS[2], QUESTIONS[0]], max_new_tokens=NEW
    )
    assert again[0].text == answers[2].text
    assert again[1].text == answers[0].text


def test_each_row_stops_on_its_own(model, pictures):
    engine, processor = model.engine, model.processor
    conversations = [looking.conversation(engine, (), text) for text in QUESTIONS[:2]]
    batch = decode.prepare(engine, conversations)
    batch["numbers"] = np.zeros(2, np.uint32)
    shared = {
        "limit": np.int32(NEW),
        "temperature": np.float32(0),
        "seed": np.uint32(0),
    }

    def run(stops):
        given = shared | {"stops": np.asarray(stops, np.int32)}
        found = engine.run(
            decode.answer, model.params, batch, given, slots=decode.SLOTS, greedy=True
        )
        return np.asarray(found)

    free = run([processor.llm.token_id("<|im_end|>"), 575])[:, :NEW]
    stop = int(free[0, 2])
    stopped = run([stop, stop])
    for row, plain in zip(stopped, free, strict=True):
        ends = np.flatnonzero(plain == stop)
        end = ends[0] if len(ends) else NEW
        assert row[:end].tolist() == plain[:end].tolist()
        assert (row[end:] == stop).all()


def test_temperature_draws_by_seed_and_question(model):
    def ask(questions, seed):
        found = model.chat(
            [None] * len(questions),
            questions,
            max_new_tokens=NEW,
            temperature=2.0,
            seed=seed,
        )
        return [answer.tokens.tolist() for answer in found]

    first = ask(["why?", "why?"], 3)
    assert first[0] != first[1]  # asking twice gives two answers
    assert ask(["when?", "why?"], 3)[1] == first[0]
    assert ask(["why?", "why?"], 4) != first


def test_states_of_a_prefill_are_those_of_decoding(model):
    engine, processor = model.engine, model.processor
    row = processor.draw("a red circle", "one large red circle in the middle")
    fields, _, marked = processor.vlm([row], [], len(row.tokens), 0)
    config = engine.bundle["vlm"].config
    prompt = int(np.argmax(marked))

    def apply(params, part, cache=None):
        tokens, segments = (fields[k][part][None] for k in ("tokens", "segments"))
        positions = fields["positions"][:, None, part]
        return engine.bundle.apply(
            "vlm", params, tokens, positions, segments, cache=cache
        )

    @jax.jit
    def decoded(params):
        states, cache = [], kv.empty(config, 1, len(row.tokens))
        start = 0
        for end in [prompt, *range(prompt + 1, prompt + 5)]:
            hidden, out = apply(params, slice(start, end), cache)
            states.append(hidden)
            cache, start = out["cache"], end
        return jnp.concatenate(states, axis=1)[0]

    whole = jax.jit(lambda params: apply(params, slice(None))[0][0])(model.params)
    states = decoded(model.params)
    scale = float(jnp.abs(whole).max())
    assert float(jnp.abs(states - whole[: prompt + 4]).max()) / scale < 1e-5


def test_a_question_is_rendered_as_in_training(model, pictures):
    """Picture, what was seen, question: the turns of `shapes_instruct`."""
    processor, caption = model.processor, "a small red star top, on a gray background"
    fitted = processor.look_at(pictures[0])
    seen = tuple(inputs.pictures([pictures[0]], processor))
    look = results.Answer(caption, np.zeros(0, np.int32), True)
    ours = looking.conversation(model.engine, seen, QUESTIONS[0], look)
    user = [{"type": "text", "text": QUESTIONS[0]}]
    theirs = chat.follow(
        [
            processor.describe(caption, fitted[1]),
            processor.render(
                [{"role": "user", "content": user}], answer=True, begins=False
            ),
        ]
    )
    assert ours.row.tokens.tolist() == theirs.tokens.tolist()
    np.testing.assert_array_equal(seen[0].patches()[0], fitted[0])


def test_equal_pictures_are_looked_at_once(model, pictures, monkeypatch):
    asked = []

    def answers(engine, params, conversations, *rest):
        asked.extend(conversations)
        return [
            results.Answer(f"look {i}", np.zeros(0, np.int32), True)
            for i in range(len(conversations))
        ]

    monkeypatch.setattr(decode, "answers", answers)
    one, other = inputs.pictures(list(pictures[:2]), model.processor)
    rows = [(one,), (), (other,), (one,)]
    made = looking.conversations(model.engine, model.params, rows, ["why?"] * 4)
    assert len(asked) == 2
    said = [model.processor.llm.decode(row.row.tokens) for row in made]
    assert ["look 0" in text for text in said] == [True, False, False, True]
    assert ["look 1" in text for text in said] == [False, False, True, False]


def test_a_model_that_need_not_look_answers_at_once(model, pictures):
    plain = dataclasses.replace(model.processor.config, instructions="full")
    processor = processor_lib.Processor(plain)
    engine = Engine(model.engine.bundle, processor, model.engine.layout)
    shown = tuple(inputs.pictures([pictures[0]], processor))
    [row] = looking.conversations(engine, model.params, [shown], [QUESTIONS[0]])
    said = engine.processor.llm.decode(row.row.tokens)
    assert said.count("user") == 1 and said.count("assistant") == 2  # and the system's


def test_control_strings_stay_text(model):
    row = looking.conversation(model.engine, (), "<|im_end|><|image_pad|>").row
    plain = looking.conversation(model.engine, (), "words").row
    control = sorted(model.processor.llm.added.values())
    count = np.isin(row.tokens, control).sum()
    assert count == np.isin(plain.tokens, control).sum()


@pytest.mark.parametrize(
    ("images", "questions", "options", "words"),
    [
        ([None], ["  "], {}, "question 0 is empty"),
        ([], [], {}, "no question"),
        ([None], "why?", {}, "list of texts"),
        ([None], ["why?", "when?"], {}, "1 and 2 were given"),
        ([None], ["why? " * 1000], {}, "context of 1024 tokens"),
        ([None], ["why?"], {"max_new_tokens": 0}, "max_new_tokens"),
        ([None], ["why?"], {"max_new_tokens": 2000}, "context"),
        ([None], ["why?"], {"temperature": -1.0}, "temperature"),
        ([None], ["why?"], {"seed": -1}, "seed"),
        (["nowhere.png"], ["why?"], {}, "nowhere.png"),
    ],
)
def test_mistakes_are_one_line(model, images, questions, options, words):
    with pytest.raises(BridgeError, match=words) as raised:
        model.chat(images, questions, **options)
    assert "\n" not in str(raised.value)


def test_chunks_hold_every_item_once():
    found = batching.chunks([3, 1, 2, 0, 4], 2)
    assert [one for chunk in found for one in chunk.real] == [3, 1, 2, 0, 4]
    assert {len(chunk.indices) for chunk in found} == {2}
    (single,) = batching.chunks([0, 1, 2], 64, parts=8)
    assert len(single.indices) == 8
    assert batching.length_bucket(33) == 64
    assert [batching.power_bucket(n) for n in (1, 2, 3, 64, 65)] == [1, 2, 4, 64, 128]
