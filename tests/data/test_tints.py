"""Colors without a name: how far they are from those that have one."""

import miniature
import numpy as np
import pytest

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import pipeline
from bridge_jax.data.choices import Choices
from bridge_jax.data.shapes import palette, tints
from bridge_jax.data.shapes import scene as scenes


def make(**fields):
    return pipeline.load_stream("shapes_text_to_image", fields, miniature.PROCESSOR)


def test_half_of_an_autoencoders_tints_are_faint():
    rng = Choices(0)
    pairs = [("white", "ring")] * 9
    distances = []
    for _ in range(40):
        scene, given = tints.tinted(rng, scenes.arrange(rng, pairs))
        behind = palette.BACKGROUNDS[scene.background]
        for tint in given.values():
            distances.append(np.linalg.norm(np.subtract(tint, behind)))
            named = np.subtract([*palette.COLORS.values()], tint)
            assert np.linalg.norm(named, axis=1).min() >= 40
    lowest, highest = tints.FAINT
    assert lowest <= min(distances) < 80
    faint = np.mean(np.array(distances) <= highest)
    assert 0.45 < faint < 0.7  # some of the others happen to be


def test_how_far_tints_are_from_named_colors_can_be_set():
    colors = np.array(list(palette.COLORS.values()))

    def nearest(unlike):
        rng = Choices(0)
        found = [tints._tint(rng, "gray", unlike=unlike) for _ in range(100)]
        return np.linalg.norm(np.array(found)[:, None] - colors, axis=-1).min()

    assert 40 <= nearest(40) < 64 <= nearest(64) < 90 <= nearest(90)
    stream = make(tinted=1.0, unlike=90)
    rng = Choices(0, "train", 3, "text_to_image")
    assert rng.coin(1.0)
    picture, _ = tints.pictured(rng, "train", unlike=90)
    np.testing.assert_array_equal(stream(3)["images"], picture)
    usual = make(tinted=1.0)
    assert (usual(3)["images"] != picture).any()


def test_tints_that_can_hardly_be_are_refused():
    with pytest.raises(BridgeError, match="unlike: 121 leaves no tints; 120 is"):
        make(tinted=1.0, unlike=121)
