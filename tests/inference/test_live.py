"""Live answers: the same as alone, told as they grow, given up, and never left hanging.

One `Live` of three rows answers in all tests of a file, so that few programs are made.
"""

import copy
import threading
import time
from typing import ClassVar

import numpy as np
import pytest

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import processor as processor_lib
from bridge_jax.inference import inputs
from bridge_jax.inference.answering import kept, looking, seats, turns
from bridge_jax.inference.live import Choice, Failed, Live
from bridge_jax.inference.model import Model
from bridge_jax.inference.results import Answer
from bridge_jax.sharding import place

IMAGE = {"type": "image"}
NEW = 24
CHOICES = [
    Choice(NEW),
    Choice(NEW, temperature=1.0, seed=3, logprobs=2),
    Choice(NEW, temperature=1.5, top_k=40, top_p=0.9, seed=4, logprobs=0),
    Choice(9, temperature=2.0, min_p=0.01, repetition_penalty=1.2, logprobs=1),
    Choice(NEW, repetition_penalty=1.5, logprobs=0),
    Choice(NEW, temperature=1.0, seed=3, stop=("e", "zz"), logprobs=20),
]


def user(*content):
    parts = [{"type": "text", "text": c} if isinstance(c, str) else c for c in content]
    return {"role": "user", "content": parts}


@pytest.fixture(scope="module", autouse=True)
def short_beginnings():
    """Prompts are short here: kept is what is longer than a header."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kept, "LEAST", 8)
        yield


@pytest.fixture(scope="module")
def live(talker):
    with Live(talker, rows=3, max_context=256) as made:
        yield made


@pytest.fixture(scope="module")
def small(pictures):
    """Pictures that take few tokens."""
    return [picture[:32, :32] for picture in pictures]


@pytest.fixture(scope="module")
def asked(small):
    """(messages, pictures) of each of CHOICES, one of two turns; of the same shapes."""
    said = {"role": "assistant", "content": "a"}
    return [
        ([user(IMAGE, "what?")], small[:1]),
        ([user("a ", IMAGE, " is?")], small[1:2]),
        ([user(IMAGE), said, user("b?")], small[2:3]),
        ([user(IMAGE, "why?")], small[3:]),
        ([user("see ", IMAGE)], small[:1]),
        ([user("say ", IMAGE)], small[1:2]),
    ]


@pytest.fixture(scope="module")
def alone(talker, asked):
    return [
        turns.replies(talker.engine, talker.params, [m], [p], choice)[0]
        for (m, p), choice in zip(asked, CHOICES, strict=True)
    ]


@pytest.fixture
def guest(talker, small):
    """guest(messages, seed): with as many of the pictures as they mention."""
    shown = inputs.pictures(small, talker.processor)

    def make(messages, seed=0):
        count = sum(str(m["content"]).count("'image'") for m in messages)
        found = turns.conversation(talker.engine, messages, shown[:count])
        return seats.Guest(found, Choice(6, temperature=1.0, logprobs=20, seed=seed), 7)

    return make


@pytest.fixture
def slowly(monkeypatch):
    """Each look takes its time, so that something is left to give up."""
    advance = seats.Seats.advance

    def later(self):
        time.sleep(0.05)
        return advance(self)

    monkeypatch.setattr(seats.Seats, "advance", later)


def same(one, other):
    assert one.tokens.tolist() == other.tokens.tolist()
    assert (one.text, one.finish) == (other.text, other.finish)
    assert one.prompt_tokens == other.prompt_tokens
    assert (one.logprobs is None) == (other.logprobs is None)
    for ours, theirs in zip(one.logprobs or (), other.logprobs or (), strict=True):
        assert (ours.token, ours.text) == (theirs.token, theirs.text)
        assert ours.log_probability == pytest.approx(theirs.log_probability, abs=1e-4)
        assert len(ours.others) == len(theirs.others)


def test_answers_are_those_of_each_alone(live, asked, alone):
    replies = [
        live.ask(m, p, choice=choice)
        for (m, p), choice in zip(asked, CHOICES, strict=True)
    ]
    for reply, wanted in zip(replies, alone, strict=True):
        pieces = list(reply)
        found = reply.result()
        same(found, wanted)
        assert "".join(piece.text for piece in pieces) == found.text
        tokens = [token for piece in pieces for token in piece.tokens]
        assert tokens == found.tokens.tolist()
        told = [one for piece in pieces for one in piece.logprobs or ()]
        assert told == list(found.logprobs or ())
        assert list(reply) == []  # pieces are had once
    assert len({answer.text for answer in alone}) > 3
    assert len(replies[0].result().tokens) > seats.STEPS


def answered(ring, guest):
    """(tokens, chances of the likeliest, how many tokens of the prompt were reused)"""
    [(row, reused)] = ring.seat([guest]).items()
    tokens, tops = [], []
    while True:
        said = ring.advance()[row]
        tokens += said.tokens.tolist()
        tops += list(said.told["tops"][: len(said.tokens)])
        if said.done:
            ring.leave([row])
            return tokens, np.asarray(tops), reused


def test_a_common_beginning_is_read_once(talker, guest):
    """A picture, asked about again; and a second turn that brings another."""
    ring = seats.Seats(talker.engine, talker.params, rows=3, context=256)
    first = [user(IMAGE, "what?")]
    other = guest([user(IMAGE, "why?")], 1)
    for seed in range(20):  # until what is said would be written with the same tokens
        said, _, _ = answered(ring, guest(first, seed))
        text = ring._engine.processor.llm.decode(said)
        if (
            text == text.strip()
            and ring._engine.processor.llm.encode_text(text) == said
        ):
            break
    else:
        pytest.fail("no answer is written as it was said")
    more = [*first, {"role": "assistant", "content": text}, user("c", IMAGE)]
    follow = guest(more, 2)
    wanted = []
    for one, least in (
        (other, 10),
        (follow, len(guest(first).conversation.row.tokens)),
    ):
        before = ring.read, ring.reused
        tokens, tops, reused = answered(ring, one)
        size = len(one.conversation.row.tokens)
        assert least <= reused < size
        assert (ring.read - before[0], ring.reused - before[1]) == (
            size - reused,
            reused,
        )
        wanted.append((tokens, tops, reused))
    # Of the answer itself all is remembered but the token that was written last.
    assert wanted[1][2] >= len(guest(first).conversation.row.tokens) + len(said) - 1
    for one, (tokens, tops, _) in zip((other, follow), wanted, strict=True):
        ring.clear()
        again, plain, reused = answered(ring, one)
        assert reused == 0 and again == tokens
        np.testing.assert_allclose(tops, plain, atol=1e-5)


def test_many_threads_ask_at_once(live, asked, alone):
    found, order = {}, [i % len(CHOICES) for i in range(4 * len(CHOICES))]

    def ask(number, i):
        found[number] = live.ask(*asked[i], choice=CHOICES[i]).result(60)

    threads = [threading.Thread(target=ask, args=one) for one in enumerate(order)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, i in enumerate(order):
        same(found[number], alone[i])
    assert live.busy == (0, 0)


def test_a_mesh_answers_alike(talker, asked, alone):
    """Rows over four devices, and matrices over two."""
    e = talker.engine
    layout = place.make({"data": 2, "fsdp": 2, "tensor": 2}, "fsdp_tp")
    model = Model.of(e.bundle, talker.params, e.processor, layout)
    with Live(model, rows=3, max_context=256) as live:
        replies = [
            live.ask(*one, choice=choice)
            for one, choice in zip(asked, CHOICES, strict=True)
        ]
        for reply, wanted in zip(replies, alone, strict=True):
            same(reply.result(120), wanted)
        again = live.ask(*asked[0], choice=CHOICES[0]).result(120)
        assert again.tokens.tolist() == alone[0].tokens.tolist()
        assert again.reused == again.prompt_tokens - 1


def test_a_reply_is_cancelled_wherever_it_is(live, asked, slowly):
    long = Choice(200, temperature=1.0)
    replies = [live.ask(*asked[0], choice=long) for _ in range(5)]
    first = next(iter(replies[0]))
    for reply in (replies[4], replies[0]):  # one that waits, one that is answered
        reply.cancel()
    found = replies[0].result(60)
    assert found.finish == "cancelled" and not found.finished
    assert found.text.startswith(first.text) and 0 < len(found.tokens) < 200
    assert replies[4].result(60).finish == "cancelled"
    for reply in replies[1:4]:
        reply.cancel()
        reply.result(60)


def test_what_cannot_be_answered_is_told_at_once(live, pictures):
    for messages, images, choice, words in [
        ([user(IMAGE)], [], Choice(), "1 images are mentioned and 0 given"),
        ([user("why?")], [], Choice(top_p=3.0, seed=-1), "top_p 3.0 .*; seed -1"),
        ([user("why? " * 200)], [], Choice(), "too long for a context of 256"),
        ([user("why?")], [], Choice(256), "context of 256"),
        ([user(IMAGE)], ["nowhere.png"], Choice(), "nowhere.png"),
        ([], [], Choice(), "at least one message"),
    ]:
        with pytest.raises(BridgeError, match=words):
            live.ask(messages, images, choice=choice)


def test_a_step_that_fails_fails_the_replies(live, asked, alone, monkeypatch):
    def broken(self):
        raise ValueError("no such device\nat all")

    with monkeypatch.context() as patch:
        patch.setattr(seats.Seats, "advance", broken)
        reply = live.ask(*asked[0], choice=CHOICES[0])
        with pytest.raises(Failed, match="failed: ValueError: no such device$"):
            reply.result(60)
        with pytest.raises(Failed):
            list(reply)
    same(live.ask(*asked[0], choice=CHOICES[0]).result(60), alone[0])
    with monkeypatch.context() as patch:
        patch.setattr(seats.Seats, "_enter", lambda *_: broken(None))
        with pytest.raises(Failed, match="no such device"):
            live.ask(*asked[1], choice=CHOICES[1]).result(60)
    same(live.ask(*asked[1], choice=CHOICES[1]).result(60), alone[1])


class Scripted:
    """Seats whose guests all hear one text."""

    seated: ClassVar[list] = []

    def __init__(self, engine, params, rows, context):
        self.tokens = engine.processor.llm.encode_text("two stars")
        self.free, self.rows = list(range(rows)), {}

    def seat(self, guests):
        self.seated.extend(guests)
        taken, self.free = self.free[: len(guests)], self.free[len(guests) :]
        self.rows |= dict.fromkeys(taken, True)
        return dict.fromkeys(taken, 0)

    def advance(self):
        tokens = np.asarray(self.tokens, np.int32)
        return {row: seats.Said(tokens, {}, True, True) for row in self.rows}

    def leave(self, rows):
        self.free += rows
        for row in rows:
            del self.rows[row]


def test_without_a_device_nobody_waits_for_ever(talker, asked, monkeypatch):
    all_asked = threading.Event()

    def gone(*_):
        all_asked.wait(60)
        raise RuntimeError("gone")

    live = Live(talker, rows=3, max_context=256)
    monkeypatch.setattr(seats.Seats, "advance", gone)
    monkeypatch.setattr(seats.Seats, "clear", gone)
    replies = [live.ask(*asked[0], choice=CHOICES[0]) for _ in range(5)]
    all_asked.set()
    for reply in replies:
        with pytest.raises(Failed, match="gone"):
            reply.result(60)
    live.close()
    with pytest.raises(BridgeError, match="closed"):
        live.ask(*asked[0], choice=CHOICES[0])


def test_a_model_that_looks_first_does_so_here(talker, pictures, monkeypatch):
    """Once at equal pictures, laid out as `Model.chat` does."""
    monkeypatch.setattr(seats, "Seats", Scripted)
    engine = copy.copy(talker.engine)
    engine.processor = processor_lib.Processor(processor_lib.Config())
    model = Model(engine, talker.params)
    shown = tuple(inputs.pictures(pictures[:2], model.processor))
    with Live(model, rows=2) as live:
        once = [user(IMAGE, IMAGE, "what is it?")]
        more = [*once, {"role": "assistant", "content": "Stars."}, user("why?")]
        for messages in (once, more, [user("why?")]):
            given = pictures[:2] if len(messages) > 1 or messages is once else []
            live.ask(messages, given, choice=Choice(6)).result(60)
    described, first, second, plain = (one.conversation for one in Scripted.seated)
    words = model.processor.words.describe
    look = Answer("two stars", np.zeros(0, np.int32), True)
    for found, wanted in [
        (described, looking.conversation(engine, shown, words)),
        (first, looking.conversation(engine, shown, "what is it?", look)),
        (plain, looking.conversation(engine, (), "why?")),
    ]:
        assert found.row.tokens.tolist() == wanted.row.tokens.tolist()
        assert len(found.pictures) == len(wanted.pictures)
    begins = second.row.tokens[: len(first.row.tokens)]
    assert begins.tolist() == first.row.tokens.tolist()
    assert Scripted.seated[0].choice.greedy


def test_closing_answers_first_or_cancels(talker, asked, alone):
    live = Live(talker, rows=3, max_context=256)
    replies = [live.ask(*asked[0], choice=CHOICES[0]) for _ in range(4)]
    live.close()
    for reply in replies:
        assert reply.done
        same(reply.result(0), alone[0])
    with pytest.raises(BridgeError, match="closed"):
        live.ask(*asked[0], choice=CHOICES[0])
    live.close()


def test_closing_need_not_wait(talker, asked, slowly):
    live = Live(talker, rows=3, max_context=256)
    replies = [live.ask(*asked[0], choice=Choice(200)) for _ in range(4)]
    live.close(wait=False)
    assert [reply.result(0).finish for reply in replies] == ["cancelled"] * 4


def test_a_result_is_not_waited_for_for_ever(live, asked, slowly):
    reply = live.ask(*asked[0], choice=Choice(200))
    with pytest.raises(TimeoutError, match="within 0.0 s"):
        reply.result(0.0)
    reply.cancel()
    assert reply.result(60).finish == "cancelled"
