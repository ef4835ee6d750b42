"""Of several candidates the model keeps the one it reads best."""

import dataclasses

import numpy as np
import pytest

from bridge_jax.core.errors import BridgeError
from bridge_jax.inference import batching
from bridge_jax.inference import inputs as inputs_lib
from bridge_jax.inference.answering import likelihood
from bridge_jax.inference.drawing import best_of, draw

FAST = {"steps": 2, "rewrite": False, "seed": 3}
PROMPTS = ["a red circle", "two stars", "a ring"]


def test_the_first_candidate_is_what_would_be_drawn_alone():
    names = [b"one", b"other"]
    plain = batching.numbers(names, 3)
    several = best_of.numbers(names, 3, 4).reshape(2, 3, 4)
    np.testing.assert_array_equal(several[:, :, 0], plain)
    assert len(np.unique(several)) == several.size


def test_the_likeliest_candidate_is_kept(model):
    """Candidates of one picture are the pictures that as many copies would be."""
    candidates = model.generate(PROMPTS, images_per_prompt=4, **FAST)
    kept = model.generate(PROMPTS, best_of=4, **FAST)
    chosen = []
    for drawing, one in zip(candidates, kept, strict=True):
        seen = inputs_lib.pictures(list(drawing.images), model.processor)
        scores = likelihood.of_descriptions(
            model.engine, model.params, seen, [drawing.caption] * 4
        )
        best = int(np.argmax([score.log_probability for score in scores]))
        assert one.images.shape == (1, *drawing.images.shape[1:])
        apart = np.abs(one.images[0].astype(int) - drawing.images[best])
        assert apart.max() <= 1  # rounding of one level, in batches of another size
        assert one.settings.best_of == 4
        chosen.append(best)
    assert set(chosen) != {0}


def test_every_picture_has_candidates_of_its_own(model):
    candidates = model.generate(PROMPTS[:1], images_per_prompt=6, **FAST)[0].images
    kept = model.generate(PROMPTS[:1], images_per_prompt=2, best_of=3, **FAST)
    for j, image in enumerate(kept[0].images):
        apart = np.abs(candidates[j::2].astype(int) - image).max(axis=(1, 2, 3))
        assert apart.min() <= 1


def test_edits_are_chosen_alike(model, pictures):
    given = pictures[:2], ["make it red", "remove the star"]
    candidates = model.edit(*given, images_per_edit=3, steps=2)
    kept = model.edit(*given, best_of=3, steps=2)
    for some, one in zip(candidates, kept, strict=True):
        apart = np.abs(some.images.astype(int) - one.images).max(axis=(1, 2, 3))
        assert one.images.shape[0] == 1 and apart.min() <= 1


def test_a_description_is_as_likely_as_an_answer_to_the_same_words(talker, pictures):
    """By `Model.likelihood`, of a model that does not describe before it answers."""
    words, processor = "a star, a ring", talker.processor
    seen = inputs_lib.pictures(pictures[:1], processor)
    [found] = likelihood.of_descriptions(talker.engine, talker.params, seen, [words])
    asked = [processor.words.describe]
    [told] = talker.likelihood(asked, [words], images=pictures[:1])
    assert found.tokens == told.tokens > 3
    np.testing.assert_allclose(found.log_probability, told.log_probability, rtol=1e-5)


def test_the_first_candidates_are_shown_on_the_way(model):
    shown = []
    model.generate(
        PROMPTS[:2],
        images_per_prompt=2,
        best_of=3,
        previews=lambda step, steps, images: shown.append((step, len(images))),
        preview_every=1,
        **FAST,
    )
    # Batches of two: 12 candidates, of which the first, fourth, seventh and tenth.
    assert shown == [(1, 1)] * 4


@pytest.mark.parametrize("number", [0, 1.5, True, "2"])
def test_it_must_be_a_whole_number(model, number):
    with pytest.raises(BridgeError, match="best_of .* is not a whole number from 1"):
        model.generate(PROMPTS, best_of=number)


def test_what_could_not_be_read_is_not_drawn(model, monkeypatch):
    """A picture too large for the context is told of before the work, not after."""
    short = dataclasses.replace(model.engine.limits, max_context=24)
    narrow = type(model).of(
        model.engine.bundle, model.params, model.processor, model.engine.layout, short
    )
    monkeypatch.setattr(draw, "pictures", lambda *_, **__: pytest.fail("drawn"))
    with pytest.raises(BridgeError, match=r"caption 0 .*24"):
        narrow.generate(PROMPTS[:1], size=(64, 64), best_of=2, **FAST)


def test_who_cannot_look_cannot_choose(model):
    blind = {part: tree for part, tree in model.params.items() if part != "vlm"}
    decoder = type(model).of(
        model.engine.bundle, blind, model.processor, model.engine.layout
    )
    given = {**FAST, "condition": "text"}
    with pytest.raises(BridgeError, match="choose the best.*vlm"):
        decoder.generate(PROMPTS, best_of=2, **given)
    assert len(decoder.generate(PROMPTS[:1], **given)) == 1
