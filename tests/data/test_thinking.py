"""Thoughts before answers, and how the two are told apart."""

import pytest

from bridge_jax.data import instructions, thinking


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("top left, bottom: 2", "2"),
        ("one: two: yes", "yes"),
        (" Red\n", "Red"),
        ("What it says is:\n10:30", "10:30"),
        ("cut short:", "cut short:"),
        ("", ""),
    ],
)
def test_the_conclusion_stands_after_the_last_colon(text, wanted):
    assert thinking.conclusion(text) == wanted


def test_what_is_concluded_is_found_again():
    assert thinking.conclusion(thinking.concluded("none; top", "no")) == "no"


@pytest.mark.parametrize("words", instructions.SETS.values(), ids=instructions.SETS)
def test_every_set_can_ask_for_a_thought(words):
    asked = words.asked("Is {this} it?", think=True)
    assert "Is {this} it?" in asked and asked != "Is {this} it?"
    assert words.asked("Is {this} it?", think=False) == "Is {this} it?"
