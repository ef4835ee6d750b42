"""The world as a whole: determinism, splits, and what no training item may show."""

import itertools
import json
import re

import numpy as np
import pytest

from bridge_jax.core import errors
from bridge_jax.data import shapes_world
from bridge_jax.data.choices import Choices
from bridge_jax.data.shapes import edits, language, palette, prompts, splits

ITEMS = 80


def items(split, count=ITEMS, seed=0):
    source = shapes_world.Source(split, seed)
    return [source[i] for i in range(count)]


def texts(item):
    yield from (item.caption(style) for style in shapes_world.STYLES)
    yield from (f"{asked.question} {asked.answer}" for asked in item.questions(10))
    yield from (prompt["prompt"] for prompt in [*item.prompts, item.rewrite.prompt])
    yield item.edit.instruction


def scenes(item):
    return item.scene, item.rewrite.scene, item.edit.source, item.edit.target


def named_pairs(text):
    colors, shapes = "|".join(palette.COLORS), "|".join(palette.SHAPES)
    return set(re.findall(rf"\b({colors}) ({shapes})(?:es|s)?\b", text))


def test_items_are_pure_functions_of_seed_split_and_index():
    for split in shapes_world.SPLITS:
        once, again = items(split, 5), items(split, 5)
        for one, two in zip(once, again):
            assert json.dumps(one.to_json()) == json.dumps(two.to_json())
            np.testing.assert_array_equal(one.image, two.image)
    first = {item.caption() for item in items("train", 20)}
    assert first != {item.caption() for item in items("train", 20, seed=1)}


def test_a_known_item_never_changes():
    """The shipped weights were trained on exactly this stream."""
    item = shapes_world.Source("train", seed=0)[0]
    assert item.caption() == (
        "a large white cross top left, a small white cross right, "
        "a small yellow circle bottom left, on a navy background"
    )
    assert int(item.image.astype(np.int64).sum()) == 763760


def test_source_is_a_random_access_source():
    source = shapes_world.Source("test", seed=3, length=7)
    assert len(source) == 7
    assert source[np.int64(6)].index == 6
    with pytest.raises(IndexError):
        source[7]
    assert len(list(source)) == 7


def test_unknown_names_are_user_errors():
    with pytest.raises(errors.BridgeError, match="train, test, heldout"):
        shapes_world.Source("valid")
    with pytest.raises(errors.BridgeError, match="canonical"):
        items("train", 1)[0].caption("haiku")


@pytest.mark.parametrize("split", ["train", "test"])
def test_no_seen_item_shows_or_names_a_heldout_pair(split):
    for item in items(split):
        for shown in scenes(item):
            assert not shown.has_heldout
        for text in texts(item):
            assert not named_pairs(text) & set(palette.HELDOUT_PAIRS), text


def test_every_heldout_item_contains_a_heldout_pair():
    for item in items("heldout"):
        assert item.scene.has_heldout
        assert item.rewrite.scene.has_heldout
        assert item.edit.source.has_heldout or item.edit.target.has_heldout
        assert named_pairs(item.rewrite.prompt["prompt"]) & set(palette.HELDOUT_PAIRS)


def test_train_and_test_never_share_a_scene():
    for split in ("train", "test"):
        for item in items(split):
            for shown in scenes(item):
                assert splits.in_test_bucket(shown) == (split == "test")


def test_heldout_pairs_are_six_shapes_in_six_colors():
    colors, shapes = zip(*palette.HELDOUT_PAIRS)
    assert len(set(colors)) == 6
    assert set(shapes) == set(palette.SHAPES)


def test_colors_are_far_apart():
    named = [*palette.COLORS.values(), *palette.BACKGROUNDS.values()]
    for one, two in itertools.combinations(named, 2):
        assert np.linalg.norm(np.subtract(one, two)) >= 80


def test_objects_keep_their_margin():
    for item in items("train"):
        for shown in scenes(item):
            assert 1 <= len(shown.objects) <= 4
            for one, two in itertools.combinations(shown.objects, 2):
                gap = max(abs(one.x - two.x), abs(one.y - two.y))
                assert gap - one.radius - two.radius >= palette.MARGIN


def test_scenes_survive_json():
    for item in items("heldout", 20):
        data = json.loads(json.dumps(item.scene.to_json()))
        assert shapes_world.Scene.from_json(data) == item.scene


def test_canonical_captions_parse_back_and_stay_short():
    for item in items("train"):
        caption = item.caption()
        assert len(re.findall(r"\w+|,", caption)) <= 35
        parsed = shapes_world.parse_caption(caption)
        assert language.canonical(parsed) == caption
        assert shapes_world.scenes_match(parsed, item.scene).same
    for text in ("", "a red circle", "on a gray background", "a small red circle top"):
        assert shapes_world.parse_caption(text) is None
    twice = "a small red star top, a large blue star top, on a gray background"
    assert shapes_world.parse_caption(twice) is None


def test_distinct_scenes_are_distinct():
    captions = [item.caption() for item in shapes_world.distinct_scenes("test", 60)]
    assert len(set(captions)) == 60


@pytest.mark.parametrize("split", shapes_world.SPLITS)
def test_prompts_are_true_of_their_scenes(split):
    for item in items(split):
        rewrite = item.rewrite
        assert rewrite.tag == rewrite.prompt["tag"]
        assert shapes_world.geneval_correct(rewrite.scene, rewrite.prompt)
        asked = sum(entry["count"] for entry in rewrite.prompt["include"])
        assert len(rewrite.scene.objects) == asked
        for prompt in item.prompts:
            assert shapes_world.geneval_correct(item.scene, prompt), prompt


@pytest.mark.parametrize("split", shapes_world.SPLITS)
@pytest.mark.parametrize("tag", prompts.TAGS)
def test_varied_prompts_name_colors_in_every_form(split, tag):
    colored = 0
    for i in range(40):
        stream = Choices("test_varied", split, tag, i)
        prompt = prompts.varied(stream, split, tag)
        scene = prompts.scene_for(stream, split, prompt)
        assert shapes_world.geneval_correct(scene, prompt)
        held = named_pairs(prompt["prompt"]) & set(palette.HELDOUT_PAIRS)
        assert bool(held) == (split == "heldout")
        colored += any("color" in entry for entry in prompt["include"])
    assert colored == 40 if split == "heldout" else 5 < colored < 40


def test_prompts_take_a_background_there_is():
    stream = Choices("test_background")
    prompt = prompts.sample(stream, "train", "two_object")
    scene = prompts.scene_for(stream, "train", prompt, "black")
    assert scene.background == "black"
    with pytest.raises(errors.BridgeError, match="no background named 'pink': .*black"):
        prompts.scene_for(stream, "train", prompt, "pink")


def test_prompts_are_false_of_most_other_scenes():
    rewrites = [item.rewrite for item in items("train", 60)]
    pairs = list(itertools.permutations(rewrites, 2))
    wrong = [shapes_world.geneval_correct(a.scene, b.prompt) for a, b in pairs]
    assert np.mean(wrong) < 0.15


def test_geneval_prompts_cover_the_tags():
    for split in shapes_world.SPLITS:
        chosen = shapes_world.geneval_prompts(split, 8)
        tags = [prompt["tag"] for prompt in chosen]
        assert tags == [tag for tag in prompts.TAGS for _ in range(8)]
        for prompt in chosen:
            held = named_pairs(prompt["prompt"]) & set(palette.HELDOUT_PAIRS)
            assert bool(held) == (split == "heldout")


def test_geneval_metadata_has_its_layout():
    chosen = shapes_world.geneval_prompts("test", 1)
    by_tag = {prompt["tag"]: prompt for prompt in chosen}
    position = by_tag["position"]["include"]
    assert position[1]["position"][0] in prompts.POSITIONS
    assert position[1]["position"][1] == 0
    assert "color" in by_tag["colors"]["include"][0]
    counting = by_tag["counting"]
    assert counting["exclude"][0]["count"] == counting["include"][0]["count"] + 1


@pytest.mark.parametrize("split", shapes_world.SPLITS)
@pytest.mark.parametrize("kind", edits.KINDS)
def test_edits_change_what_they_say_and_nothing_else(split, kind):
    for i in range(12):
        stream = Choices("test_edits", split, kind, i)
        edit = edits.sample(stream, split, kind)
        before, after = set(edit.source.objects), set(edit.target.objects)
        gone, new = before - after, after - before
        assert 1 <= len(after) <= 4
        assert (len(gone), len(new)) == {
            "add": (0, 1),
            "remove": (1, 0),
            "background": (0, 0),
        }.get(kind, (1, 1))
        changed_background = edit.source.background != edit.target.background
        assert changed_background == (kind == "background")
        if len(gone) == len(new) == 1:
            (old,), (now,) = gone, new
            same = {
                "recolour": ("shape", "size", "place", "x", "y"),
                "replace": ("size", "place", "x", "y"),
                "move": ("shape", "size", "color"),
            }[kind]
            assert all(getattr(old, name) == getattr(now, name) for name in same)
        words = [now.place for now in new if kind in ("add", "move")]
        words += [now.color for now in new if kind in ("add", "recolour", "replace")]
        words += [edit.target.background] if kind == "background" else []
        assert all(word in edit.instruction for word in words)


@pytest.mark.parametrize("split", shapes_world.SPLITS)
@pytest.mark.parametrize("kind", edits.KINDS)
def test_a_change_leads_from_one_canonical_caption_to_the_other(split, kind):
    for i in range(12):
        edit = edits.sample(Choices("test_changes", split, kind, i), split, kind)
        verb, rest = edit.change.split(" ", 1)
        old, _, new = rest.partition(" to ")
        parts = language.canonical(edit.source).replace(", on a", ", a").split(", ")
        if verb != "add":
            parts.remove(old)
        parts += [rest] * (verb == "add") + [new] * (verb == "change")
        wanted = language.canonical(edit.target).replace(", on a", ", a").split(", ")
        assert sorted(parts) == sorted(wanted)
        assert verb == {"add": "add", "remove": "remove"}.get(kind, "change")


def test_pictures_of_other_sizes_show_the_same():
    for item in (shapes_world.Source("test")[i] for i in range(4)):
        large = shapes_world.render(item.scene, size=256)
        assert large.shape == (256, 256, 3) and large.dtype == np.uint8
        again = large.reshape(64, 4, 64, 4, 3).mean((1, 3)).astype(np.uint8)
        assert shapes_world.scenes_match(
            shapes_world.read_scene(again).scene, item.scene
        ).same


def test_corpus_uses_exactly_the_vocabulary():
    words = set()
    for text in shapes_world.corpus(4000):
        words |= set(re.findall(r"\w+", text.lower()))
        assert not named_pairs(text) & set(palette.HELDOUT_PAIRS)
    assert words == shapes_world.VOCABULARY
