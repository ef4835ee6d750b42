"""Every answer is recomputed from the scene by reading the question's words."""

import collections
import re

import pytest

from bridge_jax.data import shapes_world
from bridge_jax.data.choices import Choices
from bridge_jax.data.shapes import palette, questions


def matching(scene, phrase):
    """The objects that a noun phrase fits: singular or plural, with a place or not."""
    phrase, _, place = phrase.partition(" at the ")
    found = [thing for thing in scene.objects if place in ("", thing.place)]
    for word in phrase.split():
        if word.startswith("object"):
            continue
        if word in palette.SIZES:
            found = [thing for thing in found if thing.size == word]
        elif word in palette.COLORS:
            found = [thing for thing in found if thing.color == word]
        else:
            shape = next(shape for shape in palette.SHAPES if word.startswith(shape))
            found = [thing for thing in found if thing.shape == shape]
    return found


def the(scene, phrase):
    found = matching(scene, phrase)
    assert len(found) == 1, f"{phrase!r} is ambiguous"
    return found[0]


def answer(scene, kind, text):
    """The answer by brute force."""
    if kind == "count":
        phrase = re.search(r"(?:How many|Count the) (.*?)(?: are .*)?[?.]$", text)
        return str(len(matching(scene, phrase.group(1))))
    if kind == "exists":
        phrase = re.search(r"(?:there|show) an? (.*)\?", text).group(1)
        return "yes" if matching(scene, phrase) else "no"
    if kind == "place_of":
        return the(scene, re.search(r"Where is the (.*)\?", text).group(1)).place
    if kind in ("color_of", "shape_of", "size_of"):
        if "background" in text:
            return scene.background
        phrase = re.search(r"the ([^?]*?)(?: small or large)?\?$", text).group(1)
        phrase = re.sub(r"^(?:color|shape) of the ", "", phrase)
        return getattr(the(scene, phrase), kind.removesuffix("_of"))
    if kind == "comparison":
        counts = re.search(r"Are there (more|fewer) (.*) than (.*)\?", text)
        if counts:
            first, second = (len(matching(scene, counts.group(i))) for i in (2, 3))
            true = first > second if counts.group(1) == "more" else first < second
            return "yes" if true else "no"
        (word,) = re.findall("larger|smaller", text)
        one, two = re.search(rf"Is the (.*) {word} than the (.*)\?", text).groups()
        sizes = palette.SIZES[the(scene, one).size], palette.SIZES[the(scene, two).size]
        true = sizes[0] > sizes[1] if word == "larger" else sizes[0] < sizes[1]
        return "yes" if true else "no"
    word = {"left": "left of", "right": "right of"}.get(kind, kind)
    one, two = re.search(rf"Is the (.*) {word} the (.*)\?", text).groups()
    first, second = the(scene, one), the(scene, two)
    # Jitter is smaller than the step between places, so pixels decide as places do.
    step = {"left": second.x - first.x, "right": first.x - second.x}
    step |= {"above": second.y - first.y, "below": first.y - second.y}
    return "yes" if step[kind] > 2 * palette.JITTER else "no"


@pytest.mark.parametrize("split", shapes_world.SPLITS)
def test_answers_follow_from_the_scene(split):
    source = shapes_world.Source(split, seed=1)
    for i in range(80):
        for asked in source[i].questions(12):
            expected = answer(source[i].scene, asked.kind, asked.question)
            assert asked.answer == expected, (source[i].caption(), asked)
            assert len(asked.answer.split()) <= 2


def thought(scene, kind, text):
    """What an answer rests on, found by the question's words."""
    if kind == "count":
        phrase = re.search(r"(?:How many|Count the) (.*?)(?: are .*)?[?.]$", text)
        return places(matching(scene, phrase.group(1)))
    if kind == "exists":
        return places(
            matching(scene, re.search(r"(?:there|show) an? (.*)\?", text).group(1))
        )
    if kind == "place_of":
        one = the(scene, re.search(r"Where is the (.*)\?", text).group(1))
        return f"{one.size} {one.color} {one.shape}"
    if kind in ("color_of", "shape_of", "size_of"):
        if "background" in text:
            return "background"
        phrase = re.search(r"the ([^?]*?)(?: small or large)?\?$", text).group(1)
        return the(scene, re.sub(r"^(?:color|shape) of the ", "", phrase)).place
    counts = re.search(r"Are there (?:more|fewer) (.*) than (.*)\?", text)
    if counts:
        return "; ".join(places(matching(scene, group)) for group in counts.groups())
    words = "larger than|smaller than|left of|right of|above|below"
    two = re.search(rf"Is the (.*) (?:{words}) the (.*)\?", text).groups()
    things = [the(scene, phrase) for phrase in two]
    if kind == "comparison":
        return ", ".join(f"{thing.size} {thing.place}" for thing in things)
    return places(things)


def places(things):
    return ", ".join(thing.place for thing in things) or "none"


def test_thoughts_lead_to_the_answers():
    source, kinds = shapes_world.Source("train", seed=1), collections.Counter()
    for i in range(100):
        rng, scene = Choices(0, "train", i, "thoughts"), source[i].scene
        for asked in questions.ask(rng, scene, palette.SEEN_PAIRS, 12, "lessons"):
            assert asked.thought == thought(scene, asked.kind, asked.question), asked
            kinds[asked.kind] += 1
    assert set(kinds) == {*questions.KINDS, "place_of"}


def test_lessons_prepare_for_relations():
    source = shapes_world.Source("train", seed=1)
    kinds, told = collections.Counter(), 0
    for i in range(150):
        rng, scene = Choices(0, "train", i, "lessons"), source[i].scene
        for asked in questions.ask(rng, scene, palette.SEEN_PAIRS, 12, "lessons"):
            assert asked.answer == answer(scene, asked.kind, asked.question)
            kinds[asked.kind] += 1
            told += asked.kind in questions.RELATIONS and " at the " in asked.question
    assert set(kinds) == {*questions.KINDS, "place_of"} and told > 50
    assert sum(kinds[kind] for kind in questions.RELATIONS) > 2 * kinds["exists"]


def test_reasoning_asks_mostly_for_several_objects():
    source, kinds = shapes_world.Source("train", seed=1), collections.Counter()
    for i in range(150):
        rng, scene = Choices(0, "train", i, "reasoning"), source[i].scene
        for asked in questions.ask(rng, scene, palette.SEEN_PAIRS, 12, "reasoning"):
            assert asked.answer == answer(scene, asked.kind, asked.question)
            kinds[asked.kind] += 1
    assert set(kinds) == {*questions.KINDS, "place_of"}
    relations = sum(kinds[kind] for kind in questions.RELATIONS)
    assert relations + kinds["count"] + kinds["comparison"] > 0.6 * kinds.total()


def test_kinds_and_answers_are_balanced():
    kinds, answers = collections.Counter(), collections.defaultdict(collections.Counter)
    source = shapes_world.Source("train", seed=2)
    for i in range(400):
        for asked in source[i].questions(6):
            kinds[asked.kind] += 1
            answers[asked.kind][asked.answer] += 1
    assert set(kinds) == set(questions.KINDS)
    for kind in ("exists", "comparison", *questions.RELATIONS):
        share = answers[kind]["yes"] / kinds[kind]
        assert 0.4 < share < 0.6, (kind, share)
    for number in range(5):
        assert answers["count"][str(number)] > 0.1 * kinds["count"], answers["count"]


def test_first_questions_stay_when_more_are_asked():
    item = shapes_world.Source("train")[4]
    assert item.questions(9)[:3] == item.questions(3)
