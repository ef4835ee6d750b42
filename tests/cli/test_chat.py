"""`bridge chat` as a conversation and on a terminal: who is asked, what is told."""

import io
import sys
import types

import numpy as np
import pytest

from bridge_jax.cli import arguments, main
from bridge_jax.data import instructions
from bridge_jax.inference import inputs, live
from bridge_jax.inference.results import Answer, Scored


class Model:
    """Stands for any model: `Talk` is who answers."""

    processor = types.SimpleNamespace(words=instructions.named("short"))

    def number(self, images, question):
        numbered.append(question)
        return 5

    def chat(self, images, questions, **how):
        asked.append((images, questions, how))
        return [Answer("plain", np.zeros(0, np.int32), True)]


class Talk:
    """Says how many messages it was told, in two pieces."""

    def __init__(self, model, rows):
        assert rows == 1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        asked.append("closed")

    def ask(self, messages, images, *, choice, number=None):
        asked.append(([*messages], list(images), choice, number))
        reply = live.Reply(lambda: None)
        for text in ("so many: ", str(len(messages))):
            reply.say(live.Piece(text, (), None))
        scored = Scored(1, "a", -0.5, (Scored(2, "b", -0.25),))
        told = None if choice.logprobs is None else (scored,)
        whole = f"so many: {len(messages)}"
        reply.end(Answer(whole, np.zeros(0, np.int32), True, logprobs=told))
        return reply


asked, numbered = [], []


@pytest.fixture(autouse=True)
def talk(monkeypatch):
    asked.clear()
    numbered.clear()
    monkeypatch.setattr(arguments, "load", lambda args: Model())
    monkeypatch.setattr(live, "Live", Talk)


def typed(monkeypatch, text, terminal=False):
    file = io.StringIO(text)
    file.isatty = lambda: terminal
    monkeypatch.setattr(sys, "stdin", file)


def test_a_conversation_goes_on_line_by_line(monkeypatch, capsys):
    typed(monkeypatch, "one?\n\n  two? \n")
    given = ["--video", "b.gif", "--stop", ".", "--top-k", "3", "--logprobs", "1"]
    assert main.main(["chat", "a.png", "-", *given]) == 0
    first, second, closed = asked
    assert closed == "closed"
    kinds = [[part["type"] for part in message["content"]] for message in first[0]]
    assert kinds == [["image", "video", "text"]]
    assert first[1] == second[1] == ["a.png", inputs.Video("b.gif")]
    assert second[0][1] == {"role": "assistant", "content": "so many: 1"}
    assert second[0][2]["content"] == [{"type": "text", "text": "two?"}]
    assert (first[2].stop, first[2].top_k, first[3]) == ((".",), 3, None)
    chances = "'a' -0.500  'b' -0.250"
    assert capsys.readouterr().out.splitlines() == [
        "so many: 1", chances, "so many: 3", chances,
    ]  # fmt: skip


def test_on_a_terminal_lines_are_asked_for(monkeypatch, capsys):
    typed(monkeypatch, "one?\n", terminal=True)
    assert main.main(["chat", "-"]) == 0
    assert capsys.readouterr().out == "> so many: 1\n> "


def test_a_terminal_sees_the_answer_grow(monkeypatch, capsys):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert main.main(["chat", "a.png", "why?", "--temperature", "0.5"]) == 0
    (messages, images, choice, number), _ = asked
    assert len(messages) == 1 and images == ["a.png"] and number == 5
    assert choice.temperature == 0.5
    assert capsys.readouterr().out == "so many: 1\n"


def test_elsewhere_it_is_told_whole(capsys):
    assert main.main(["chat", "why?", "--min-p", "0.1"]) == 0
    [(images, questions, how)] = asked
    assert (images, questions, how["min_p"]) == ([None], ["why?"], 0.1)
    assert capsys.readouterr().out == "plain\n"


@pytest.mark.parametrize(
    ("given", "wanted"), [([], "why?"), (["--think"], "Think: why?")]
)
def test_a_thought_is_asked_for_in_words(monkeypatch, given, wanted):
    assert main.main(["chat", "why?", *given]) == 0
    [(_, questions, how)] = asked
    assert questions == ["why?"] and how["think"] == bool(given)  # the model's affair
    asked.clear()
    typed(monkeypatch, "why?\n")
    assert main.main(["chat", "-", *given]) == 0
    assert asked[0][0][0]["content"] == [{"type": "text", "text": wanted}]
    asked.clear()
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert main.main(["chat", "why?", *given]) == 0
    assert asked[0][0][0]["content"] == [{"type": "text", "text": wanted}]
    assert numbered == [wanted]
