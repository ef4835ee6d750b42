"""The reader agrees with the truth, forgives blur, and refuses what is no shape."""

import numpy as np
import pytest

from bridge_jax.core import errors
from bridge_jax.data import shapes_world
from bridge_jax.data.shapes import draw, palette, read, score
from bridge_jax.data.shapes.scene import Object, Scene


def agreement(split, count, seed=0, change=lambda picture: picture):
    source = shapes_world.Source(split, seed)
    right = 0
    for i in range(count):
        reading = shapes_world.read_scene(change(source[i].image))
        right += shapes_world.scenes_match(reading.scene, source[i].scene).same
    return right / count


def soften(picture):
    """A blur of about one pixel and noise of 8 levels, as a decoder might leave."""
    soft = picture.astype(np.float32)
    for axis in (0, 1):
        for _ in range(2):
            before, after = np.roll(soft, 1, axis), np.roll(soft, -1, axis)
            soft = 0.25 * before + 0.5 * soft + 0.25 * after
    noise = np.random.default_rng(0).normal(0, 8, soft.shape)
    return np.clip(soft + noise, 0, 255).astype(np.uint8)


def test_rendered_scenes_are_read_exactly():
    assert agreement("train", 200) >= 0.995
    assert agreement("heldout", 200) >= 0.995


def test_soft_noisy_pictures_are_read_too():
    assert agreement("heldout", 60, seed=1, change=soften) >= 0.95


def test_centres_are_found():
    for i in range(40):
        item = shapes_world.Source("train", seed=4)[i]
        reading = shapes_world.read_scene(item.image)
        for seen, true in zip(reading.scene.objects, item.scene.objects):
            assert abs(seen.x - true.x) < 0.3
            assert abs(seen.y - true.y) < 0.3
        assert reading.confidence > 0.85


def test_an_empty_picture_has_no_objects():
    picture = np.full((64, 64, 3), palette.BACKGROUNDS["navy"], np.uint8)
    reading = shapes_world.read_scene(picture)
    assert reading.scene == Scene("navy", ())
    assert reading.confidence == 0


def test_doubtful_shapes_match_nothing():
    wanted = Scene("gray", (Object("circle", "red", "large", "center", 32.0, 32.0),))
    picture = shapes_world.render(wanted)
    picture[:, 32:] = palette.BACKGROUNDS["gray"]  # half a circle
    reading = shapes_world.read_scene(picture)
    assert reading.scene.objects[0].shape is None
    assert reading.confidence == 0
    assert not shapes_world.scenes_match(reading.scene, wanted).same


def test_specks_are_ignored_and_blobs_are_not():
    item = shapes_world.Source("train", seed=5)[0]
    free = next(
        place
        for place in palette.PLACES
        if place not in {thing.place for thing in item.scene.objects}
    )
    x, y = palette.PLACES[free]
    for side, same in ((3, True), (8, False)):
        picture = item.image.copy()
        picture[y : y + side, x : x + side // 2 + 1] = palette.COLORS["white"]
        reading = shapes_world.read_scene(picture)
        match = shapes_world.scenes_match(reading.scene, item.scene)
        assert match.same == same


def test_every_single_attribute_counts():
    one = Object("star", "cyan", "small", "left", 11.0, 32.0)
    base = Scene("black", (one,))
    others = [
        Scene("gray", (one,)),
        Scene("black", ()),
        Scene("black", (one, Object("ring", "cyan", "small", "top", 32.0, 11.0))),
        Scene("black", (Object("ring", "cyan", "small", "left", 11.0, 32.0),)),
        Scene("black", (Object("star", "white", "small", "left", 11.0, 32.0),)),
        Scene("black", (Object("star", "cyan", "large", "left", 11.0, 32.0),)),
        Scene("black", (Object("star", "cyan", "small", "right", 53.0, 32.0),)),
    ]
    assert score.scenes_match(base, base).same
    for other in others:
        assert not score.scenes_match(other, base).same
        assert not score.scenes_match(
            read.read_scene(draw.render(other)).scene, base
        ).same


def test_relations_follow_geneval():
    def at(x, y):
        return Object("star", "cyan", "small", "center", x, y)

    assert score.relations(at(10, 30), at(50, 30)) == {"left of"}
    assert score.relations(at(50, 30), at(10, 33)) == {"right of"}
    assert score.relations(at(30, 10), at(30, 50)) == {"above"}
    assert score.relations(at(50, 50), at(10, 10)) == {"right of", "below"}
    assert score.relations(at(31, 30), at(30, 30)) == set()


def test_other_arrays_are_refused():
    with pytest.raises(errors.BridgeError, match=r"64, 64, 3"):
        shapes_world.read_scene(np.zeros((32, 32, 3), np.uint8))
    with pytest.raises(errors.BridgeError, match="float32"):
        shapes_world.read_scene(np.zeros((64, 64, 3), np.float32))
