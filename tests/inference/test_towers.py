"""Towers that see squares: chat with pictures of any number of tiles."""

import langbridge_models
import numpy as np
import pytest

import bridge_jax
from bridge_jax.inference import inputs

CLIP = {
    "tower": "clip_vit",
    "clip_vit": {"image": 64, "patch": 16, "hidden": 48, "layers": 2, "heads": 2,
                 "ffn": 64},
    "langbridge": {"vision": 48, "hidden": 32, "vocab": 80},
}  # fmt: skip
SQUARES = {"patch": 16, "temporal": 1, "merge": 1, "side": 64, "instructions": "full"}


@pytest.fixture(scope="module", params=["square", "anyres"])
def model(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param) / "model"
    langbridge_models.write(
        folder, "adapter-qwen2", processor=SQUARES | {"layout": request.param}, **CLIP
    )
    return bridge_jax.load(folder)


def pictures():
    draw = np.random.default_rng(0)
    sizes = ((64, 64), (64, 128), (190, 60), (300, 310))
    return [draw.integers(0, 256, (*size, 3), np.uint8) for size in sizes]


def test_an_answer_does_not_depend_on_what_is_beside_it(model):
    shown = pictures()
    asked = ["what is it?"] * len(shown)
    together = model.chat(shown, asked, max_new_tokens=6)
    for picture, answer in zip(shown, together, strict=True):
        [alone] = model.chat([picture], asked[:1], max_new_tokens=6)
        np.testing.assert_array_equal(alone.tokens, answer.tokens)


def test_every_tile_takes_part(model):
    """A picture's last pixels reach the answer's likelihood, whatever its shape."""
    for picture in pictures():
        other = picture.copy()
        other[-20:, -20:] = 255 - other[-20:, -20:]
        found = [
            model.likelihood(["what?"], ["red"], [one])[0].log_probability
            for one in (picture, other)
        ]
        assert found[0] != found[1]


def test_explanations_go_frame_by_frame(model):
    [found] = model.explain([pictures()[3]], top=2)
    [seen] = inputs.pictures([pictures()[3]], model.processor)
    frames = {"square": 1, "anyres": 5}[model.processor.config.layout]
    assert found.grid == (frames, 4, 4) == seen.grid
    assert len(found.words) == frames * 16
