"""How answers are judged, by values worked out by hand."""

import itertools

import pytest

from bridge_jax.eval.answers import (
    anls,
    exact_match,
    multiple_choice,
    vqa_accuracy,
    vqa_words,
)


@pytest.mark.parametrize(
    ("answer", "plain"),
    [
        ("Yes.", "yes"),
        ("  The two  dogs ", "2 dogs"),
        ("A cat, a dog", "cat dog"),
        ("None", "0"),
        ("ten", "10"),
        ("1,000", "1000"),
        ("3.5", "3.5"),
        ("dr. pepper", "dr pepper"),
        ("black/white", "black white"),
        ("black-and-white", "black and white"),
        ("what?", "what"),
        ("dont", "don't"),
        ("couldntve", "couldn't've"),
        ("couldn'tve", "couldn't've"),
        ("couldnt've", "couldn't've"),
        ("theyre", "they're"),
        ("its well", "its well"),
        ("the shed", "shed"),
        ("shedve", "she'd've"),
        ("oclock", "o'clock"),
        ("an\napple", "apple"),
    ],
)
def test_one_spelling(answer, plain):
    assert vqa_words.plain(answer) == plain
    assert vqa_words.plain(plain) == plain


@pytest.mark.parametrize(
    ("agreeing", "accuracy"),
    [(0, 0.0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1.0), (10, 1.0)],
)
def test_vqa_accuracy_leaves_one_out(agreeing, accuracy):
    """k of ten say so: k subsets count k - 1 of them, 10 - k count k."""
    answers = ["two"] * agreeing + [f"word{i}" for i in range(10 - agreeing)]
    assert vqa_accuracy.Metric()("2", answers, ()) == pytest.approx(accuracy)


def test_vqa_accuracy_is_the_mean_over_subsets():
    answers = ["a", "b", "b", "c", "c", "c", "d", "d", "d", "d"]
    for given in "bcdx":
        subsets = list(itertools.combinations(answers, 9))
        mean = sum(min(1, s.count(given) / 3) for s in subsets) / len(subsets)
        assert vqa_accuracy.Metric()(given, answers, ()) == pytest.approx(mean)


def test_exact_match():
    metric = exact_match.Metric()
    assert metric(" Red\n", ["blue", "red"], ()) == 1.0
    assert metric("red.", ["red"], ()) == 0.0


@pytest.mark.parametrize(
    ("one", "other", "edits"),
    [("kitten", "sitting", 3), ("", "abc", 3), ("abc", "abc", 0), ("ab", "ba", 2)],
)
def test_distance(one, other, edits):
    assert anls.distance(one, other) == anls.distance(other, one) == edits


def test_anls():
    metric = anls.Metric()
    assert metric("Kitten", ["sitting", "mitten"], ()) == pytest.approx(5 / 6)
    assert metric("12  March ", ["12 march"], ()) == 1.0
    assert metric("abcd", ["abxy"], ()) == 0.5
    assert metric("abcde", ["abxyz"], ()) == 0.0
    assert metric("", ["a"], ()) == 0.0


CHOICES = ("a dog", "red", "dark red", "Bern")


@pytest.mark.parametrize(
    ("given", "number"),
    [
        ("B", 1),
        ("b", 1),
        ("(C)", 2),
        ("D.", 3),
        ("D) Bern", 3),
        ("C: dark red", 2),
        ("(B) because it is", 1),
        ("Dark red.", 2),
        ("a dog", 0),
        ("A dog is in it", 0),
        ("It is Bern, surely.", 3),
        ("The car is dark red", 2),
        ("I would take (C)", 2),
        ("(A) is wrong, so the final answer is: B", 1),
        ("The answer is **C**.", 2),
        ("red or Bern", None),
        ("E", None),
        ("neither (A) nor (B)", None),
        ("", None),
    ],
)
def test_the_option_that_is_meant(given, number):
    assert multiple_choice.chosen(given, CHOICES) == number


def test_multiple_choice():
    metric = multiple_choice.Metric()
    assert metric("B", ["red"], CHOICES) == metric("red", ["B"], CHOICES) == 1.0
    assert metric("A", ["red"], CHOICES) == metric("???", ["red"], CHOICES) == 0.0
    assert metric.lacks(["green"], CHOICES) and metric.lacks(["A"], ())
    assert metric.lacks(["D"], CHOICES) == ""
    # An option's own words come before letters.
    assert multiple_choice.option("A", ("B", "A")) == 1
