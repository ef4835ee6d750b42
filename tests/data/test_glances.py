"""Glances: every word of a thing is said where the thing is, and nowhere else."""

import numpy as np

from bridge_jax.data import shapes_world
from bridge_jax.data.choices import Choices
from bridge_jax.data.shapes import glances
from bridge_jax.data.shapes.scene import Object, Scene

WORDS = (
    *("small", "large", "red", "cyan", "circle", "star", "navy", "background"),
    *("top", "left", "right", "bottom", "center"),
)
INDEX = {word: number for number, word in enumerate(WORDS)}
# In cells 12 (bottom left) and 3 (top right) alone, and on the edge of four cells.
LOWER = Object("circle", "red", "small", "bottom left", 8.0, 56.0)
UPPER = Object("star", "cyan", "small", "top right", 56.0, 8.0)
MIDDLE = Object("star", "red", "large", "center", 32.0, 32.0)


def told(number, *things):
    stream = Choices("test_glances", number)
    return glances.mixtures(stream, Scene("navy", things), INDEX, len(WORDS))


def words(row, least=0.0):
    return {WORDS[i] for i in np.flatnonzero(row > least)}


def test_cells_say_what_lies_in_them():
    for number in range(30):
        found = told(number, LOWER, UPPER)
        assert found.shape == (16, len(WORDS)) and found.dtype == np.float32
        np.testing.assert_allclose(found.sum(-1), 1, rtol=1e-5)
        said = words(found[12])
        assert said >= {"small", "red", "circle", "bottom", "left"}
        assert len(said) <= 6  # one may be a stray
        assert words(found[3]) >= {"small", "cyan", "star", "top", "right"}
        for cell in set(range(16)) - {3, 12}:
            loud = words(found[cell], glances.LOUDEST)
            assert loud <= {"navy", "background"}, (cell, loud)
            assert "navy" in words(found[cell])


def test_words_of_a_thing_are_spread_over_its_cells():
    spread = 0
    for number in range(30):
        found = told(number, MIDDLE)
        cells = [words(found[cell]) for cell in (5, 6, 9, 10)]
        assert set.union(*cells) >= {"star", "red", "large", "center"}
        spread += any(not one >= {"star", "red", "large", "center"} for one in cells)
    assert spread > 20


def test_every_scene_can_be_glanced_at():
    """No thing is in so little of each cell that it goes unnoticed."""
    source = shapes_world.Source("heldout")
    for number in range(200):
        scene = source[number].scene
        for thing in scene.objects:
            areas = glances.areas(thing)
            assert max(areas.values()) >= glances.LEAST
            assert abs(sum(areas.values()) - (2 * thing.radius) ** 2) < 1e-6
