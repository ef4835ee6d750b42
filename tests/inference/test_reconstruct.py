"""Through the autoencoder and back."""

import numpy as np
import pytest

from bridge_jax.core.errors import BridgeError
from bridge_jax.inference import model as model_lib
from bridge_jax.inference.drawing import reconstruct
from bridge_jax.inference.settings import Limits


@pytest.fixture(scope="module")
def pictures():
    """Of three sizes, mixed, more of one size than run together."""
    generator = np.random.default_rng(0)
    sides = [(16, 16), (8, 24), (16, 16), (16, 8), (16, 16), (16, 16)]
    return [generator.integers(0, 256, (*side, 3), np.uint8) for side in sides]


def through(model, picture):
    """The same by hand, one picture at a time."""
    bundle, pixels = model.engine.bundle, picture[None].astype(np.float32)
    mean, _ = bundle.apply("vae", model.params, pixels / 127.5 - 1, method="encode")
    drawn = bundle.apply("vae", model.params, mean, method="decode")
    return np.clip(np.round((np.asarray(drawn[0]) + 1) * 127.5), 0, 255)


def test_each_picture_keeps_its_size_and_place(model, pictures):
    few = model_lib.Model.of(
        model.engine.bundle,
        {"vae": model.params["vae"]},
        model.processor,
        model.engine.layout,
        Limits(images=2),
    )
    found = few.reconstruct(pictures)
    for picture, again in zip(pictures, found, strict=True):
        assert again.shape == picture.shape and again.dtype == np.uint8
        assert np.abs(again - through(model, picture)).max() <= 1  # rounding


def test_large_pictures_run_fewer_at_once(model, pictures, monkeypatch):
    """Of the batches of one shape as many as their pixels allow, or one picture."""
    monkeypatch.setattr(reconstruct, "_PIXELS", 2 * 16 * 16)
    groups = {(16, 16, 3): [0, 2, 4, 5], (64, 64, 3): [1, 3]}
    rows = [chunk.real for chunk in reconstruct._chunks(model.engine, groups)]
    assert model.engine.parts == 1
    assert rows == [(0, 2), (4, 5), (1,), (3,)]


def test_mistakes_come_all_at_once(model, pictures):
    wrong = [pictures[0], pictures[0][:15], pictures[0][:, :9]]
    with pytest.raises(BridgeError, match=r"15 x 16.* 2; .*16 x 9"):
        model.reconstruct(wrong)
    with pytest.raises(BridgeError, match="must be a list"):
        model.reconstruct(pictures[0])
    with pytest.raises(BridgeError, match="none.png.*b.png"):
        model.reconstruct(["none.png", "b.png"])


def test_a_model_without_an_autoencoder_says_so(model, pictures):
    params = {name: part for name, part in model.params.items() if name != "vae"}
    blind = model_lib.Model.of(
        model.engine.bundle, params, model.processor, model.engine.layout
    )
    with pytest.raises(BridgeError, match="cannot reconstruct: it lacks vae"):
        blind.reconstruct(pictures)
