"""What lmms-eval asks, without lmms-eval: its shapes of requests, answered in order."""

import dataclasses
import types
from pathlib import Path

import numpy as np
import pytest

from bridge_jax.core.errors import BridgeError
from bridge_jax.eval.lmms import harness
from bridge_jax.inference import results

ROOT = Path(__file__).parents[2]


class Echo:
    """Says what it is asked, and remembers how."""

    def __init__(self, rows=2):
        limits = types.SimpleNamespace(rows=rows)
        self.engine = types.SimpleNamespace(limits=limits)
        self.processor = types.SimpleNamespace(
            llm=types.SimpleNamespace(encode_text=lambda text: [*text.encode()])
        )
        self.asked = []

    def chat(self, images, questions, **settings):
        self.asked.append((list(images), list(questions), settings))
        return [
            results.Answer(text, np.frombuffer(text.encode(), np.uint8), True)
            for text in questions
        ]

    def likelihood(self, prompts, targets, images):
        return [(-(float(len(one)) ** 2), len(one)) for one in targets]


def opened(*texts):
    return [lambda text=text: harness.of_prompt(text, None) for text in texts]


def test_a_prompt_has_its_pictures_first():
    one = harness.of_prompt("what is <image> this?", [["a.png", "b.png"]])
    assert one.pictures == ("a.png", "b.png")
    kinds = [part["type"] for part in one.messages[0]["content"]]
    assert kinds == ["image", "image", "text"] and one.plain == "what is  this?"
    assert harness.of_prompt(" <image> ", None).plain == " <image> "
    assert harness.of_prompt("why?", "a.png").pictures == ("a.png",)


def test_messages_are_plain_where_one_turn_asks_after_its_pictures():
    image, text = {"type": "image", "url": 1}, {"type": "text", "text": "why? "}
    user = {"role": "user", "content": [image, text, text]}
    assert harness.of_messages([user]).plain == "why? why? "
    assert harness.of_messages([{"role": "user", "content": "why?"}]).plain == "why?"
    others = (
        [{"role": "user", "content": [text, image]}],
        [{"role": "user", "content": [image]}],
        [{"role": "system", "content": "be brief"}, user],
        [user, {"role": "assistant", "content": "so"}, user],
    )
    found = [harness.of_messages(one) for one in others]
    assert [one.plain for one in found] == [None] * 4
    assert [len(one.pictures) for one in found] == [1, 1, 1, 2]
    assert found[0].messages[0]["content"][1] == {"type": "image"}


def test_sounds_and_videos_are_refused_together():
    parts = [{"type": "video", "url": "a.mp4"}, {"type": "audio", "url": {}}]
    with pytest.raises(BridgeError, match="no audio, video"):
        harness.of_messages([{"role": "user", "content": parts}])
    with pytest.raises(BridgeError, match="no audio"):
        harness.of_prompt("what?", [{"array": [0.0]}])


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, (7, 0.0, ())),
        ({"until": ["\n\n", ""], "do_sample": False}, (7, 0.0, ("\n\n",))),
        ({"until": "END", "max_new_tokens": 3}, (3, 0.0, ("END",))),
        ({"until": None, "temperature": 0, "top_p": 0.5}, (7, 0.0, ())),
        ({"temperature": 0.5, "do_sample": False, "top_k": 9}, (7, 0.0, ())),
        ({"temperature": 0.5, "top_p": 1.0, "num_beams": 1}, (7, 0.5, ())),
    ],
)
def test_generation_kwargs_become_choices(given, wanted):
    [one] = harness.choices([given], 7, ["a"])
    assert (one.max_new_tokens, one.temperature, one.stops) == wanted


def test_what_we_cannot_do_is_said_at_once_and_what_does_nothing_once(capsys):
    given = [{"num_beams": 4}, {"num_beams": 2}]
    with pytest.raises(BridgeError) as told:
        harness.choices(given, 7, ["a", "b"])
    for said in ("num_beams 4", "num_beams 2"):
        assert said in str(told.value)
    harness.choices([{"image_aspect_ratio": "pad"}] * 3, 7, "abc")
    assert capsys.readouterr().out.count("do nothing here: image_aspect_ratio") == 1


def test_answers_keep_their_order_and_are_cut_at_the_first_stop():
    model = Echo(rows=1)
    texts = [f"{i} and; that| is" for i in range(20)]
    given = [{"until": [";"] if i % 2 else ["|", ";"]} for i in range(20)]
    choices = harness.choices(given, 7, range(20))
    found = harness.answers(model, opened(*texts), choices)
    assert found == [f"{i} and" for i in range(20)]
    sizes = [len(questions) for _, questions, _ in model.asked]
    assert sum(sizes) == 20 and max(sizes) == 8  # never all open at once
    assert harness.Choice(7, stops=("x",)).cut("no stop") == "no stop"


def test_tasks_are_given_what_a_thought_concludes():
    model = Echo()
    choices = harness.choices([{"until": ["|"], "max_new_tokens": 5}] * 2, 7, "ab")
    asked = opened("one | two: yes | it is", "no colon")
    assert harness.answers(model, asked, choices, think=True) == ["yes ", "no colon"]
    [(_, _, settings)] = model.asked
    assert settings["think"] and settings["max_new_tokens"] > 5 + 100
    harness.answers(model, asked, choices)
    assert "think" not in model.asked[1][2]


def test_what_is_asked_again_is_drawn_anew():
    model = Echo()
    choices = harness.choices([{"temperature": 1.0}] * 4, 7, ["a", "a", "b", "a"])
    harness.answers(model, opened("a", "a", "b", "a"), choices, seed=5)
    drawn = [(questions, s["seed"]) for _, questions, s in model.asked]
    assert drawn == [(["a", "b"], 5), (["a"], 6), (["a"], 7)]


def test_what_is_drawn_from_is_passed_on():
    model = Echo()
    given = [{"temperature": 1.0, "top_p": 0.9}, {"temperature": 1.0, "top_k": 5}]
    given.append({"temperature": 0, "top_p": 0.9})  # greedy: from nothing
    choices = harness.choices(given, 7, "abc")
    harness.answers(model, opened(*"abc"), choices)
    told = [(q, s["top_p"], s["top_k"]) for _, q, s in model.asked]
    assert told == [(["a"], 0.9, 0), (["b"], 1.0, 5), (["c"], 1.0, 0)]


def test_losses_are_means_and_leave_out_the_space_before_the_words():
    model = Echo()
    asked = opened("yes it is", "yes it is", "no")
    words = [" yes", " no", " none"]
    found = harness.losses(model, asked, words, [1, 1, 2])
    assert found == [(3.0, True), (2.0, False), (4.0, False)]
    [(pictures, questions, _)] = model.asked  # each prompt once
    assert questions == ["yes it is", "no"] and pictures == [None, None]
    with pytest.raises(BridgeError, match="one is empty"):
        harness.losses(model, opened("why?"), [" "], [1])


def test_lmms_eval_and_jax_agree_on_who_is_who():
    assert harness.standing({}, 0, 1) == (0, 1)
    theirs = {"RANK": "1", "WORLD_SIZE": "2"}
    assert harness.standing(theirs, 0, 1) == (1, 2)
    assert harness.standing(theirs, 1, 2) == (1, 2)
    for environ, index in ((theirs, 0), ({}, 1)):
        with pytest.raises(BridgeError, match="without BRIDGE_JAX_DISTRIBUTED"):
            harness.standing(environ, index, 2)


def test_the_entry_point_is_there():
    """lmms-eval reads it; the plug-in itself is tested by tests/lmms/plugin.py."""
    assert (
        '"bridge_jax = bridge_jax.eval.lmms.plugin:manifest"'
        in (ROOT / "setup.py").read_text()
    )
    source = (ROOT / "bridge_jax" / "eval" / "lmms" / "plugin.py").read_text()
    assert "def manifest() -> ModelManifest:" in source


def test_others_are_answered_as_they_are_laid_out(monkeypatch):
    given = []

    def replies(engine, params, conversations, images, choice):
        given.append((conversations, images, choice.max_new_tokens, choice.seed))
        return [types.SimpleNamespace(text=f"turn {i}") for i in range(len(images))]

    monkeypatch.setattr(harness.turns, "replies", replies)
    model = Echo()
    model.params = {}
    turn = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "b"}]
    asked = [*opened("a"), lambda: harness.of_messages(turn), *opened("c")]
    choices = harness.choices([{}] * 3, 7, "abc")
    assert harness.answers(model, asked, choices) == ["a", "turn 0", "c"]
    [(conversations, images, tokens, seed)] = given
    assert [m["role"] for m in conversations[0]] == ["system", "user"]
    assert images == [()] and (tokens, seed) == (7, 0)
    assert dataclasses.is_dataclass(choices[0])
