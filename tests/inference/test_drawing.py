"""Generation and editing: shapes, seeds, indifference to batches, and mistakes."""

import dataclasses

import jax
import numpy as np
import pytest

import bridge_jax
from bridge_jax.core import rng
from bridge_jax.core.errors import BridgeError
from bridge_jax.diffusion import samplers
from bridge_jax.inference import results, settings
from bridge_jax.inference.drawing import captions, generate, paint
from bridge_jax.models import replacement, view

FAST = {"steps": 2, "rewrite": False}


def _apart(first, second):
    return int(np.abs(first.astype(int) - second.astype(int)).max())


@pytest.fixture(scope="module")
def drawn(model):
    return model.generate(["a red circle", "two stars"], **FAST)


def test_drawings_have_what_they_were_made_of(drawn):
    first, second = drawn
    assert first.images.shape == (1, 16, 16, 3)
    assert first.images.dtype == np.uint8
    assert first.prompt == first.caption == "a red circle"
    assert first.settings == settings.Settings(steps=2, rewrite=False)
    assert first.images.std() > 1
    assert _apart(first.images, second.images) > 5


def test_a_picture_depends_on_seed_prompt_and_number_alone(model, drawn):
    again = model.generate(["two stars", "a ring"], **FAST)
    assert _apart(again[0].images, drawn[1].images) <= 1  # rounding of one level
    both = model.generate(["two stars"], images_per_prompt=2, **FAST)[0]
    assert _apart(both.images[:1], drawn[1].images) <= 1
    assert _apart(both.images[0], both.images[1]) > 5
    other = model.generate(["two stars", "a ring"], seed=1, **FAST)
    assert _apart(other[0].images, drawn[1].images) > 5


@pytest.mark.parametrize("sampler", samplers.names())
def test_every_sampler_draws(model, sampler):
    first, second = (
        model.generate(["a", "b"], sampler=sampler, condition="text", **FAST)
        for _ in range(2)
    )
    np.testing.assert_array_equal(first[0].images, second[0].images)
    assert first[0].settings.bert == "caption"


def test_mask_and_rewriting_change_what_is_drawn(model, drawn):
    prompts = ["a red circle", "two stars"]
    masked = model.generate(prompts, mask="caption", **FAST)
    assert _apart(masked[0].images, drawn[0].images) > 0
    rewritten = model.generate(prompts, steps=2)
    assert [one.caption for one in rewritten] == model.rewrite(prompts)
    assert rewritten[0].caption != prompts[0]


def test_conditions_are_those_of_training(model):
    """`conditions` against the decoder's inputs as objectives compute them."""
    engine, chosen = model.engine, settings.Settings(rewrite=False)
    prompts, wanted = ["p", "q"], [results.Caption("a star"), results.Caption("a ring")]
    rows = generate.Rows(engine.processor, prompts, wanted, chosen)
    batch = jax.tree.map(lambda *leaves: np.stack(leaves), rows(0), rows(1))
    empty = engine.processor.texts("", "")
    nothing = {name: leaf[None] for name, leaf in empty.items()}
    names = {"condition": "queries", "mask": "all"}
    ours, _ = engine.run(
        paint.conditions, model.params, batch, {"empty": nothing}, **names
    )
    noisy = np.random.default_rng(0).normal(size=(2, 8, 8, 4)).astype(np.float32)
    times = np.float32([10.0, 700.0])

    @jax.jit
    def both(params, condition):
        seen = view.View(
            engine.bundle,
            params,
            batch,
            rngs=rng.Streams(5, 5),
            step=9,
            schedule=replacement.fixed(1.0),
            train=False,
        )
        split = engine.bundle.apply(
            "dit", params, noisy, times, condition, method="denoise"
        )
        return split, seen.denoise(noisy, times, "queries")

    split, whole = both(model.params, ours)
    np.testing.assert_allclose(split, whole, atol=1e-5 * float(np.abs(whole).max()))


def test_edits(model, pictures):
    wishes = ["make it red", "remove the star"]
    first = model.edit(pictures[:2], wishes, steps=2)
    assert [one.instruction for one in first] == wishes
    assert first[0].images.shape == (1, 16, 16, 3)
    assert first[0].settings.bert == "caption"
    [empty] = model.edit(pictures[:1], wishes[:1], steps=2, bert="empty")
    assert empty.settings.bert == "empty"
    assert (empty.images != first[0].images).any()
    assert [one.caption for one in first] == model.rewrite_edits(pictures[:2], wishes)
    swapped = model.edit(pictures[1::-1], wishes[::-1], steps=2)
    assert _apart(swapped[1].images, first[0].images) <= 1


def test_a_silent_model_draws_the_request(model):
    processor = model.processor
    silent = captions._caption(processor, np.zeros(0, np.int32), "a red circle")
    assert silent.text == "a red circle"
    assert "no caption" in silent.note
    rambling = processor.llm.encode_text("red " * 60)
    cut = captions._caption(processor, np.asarray(rambling), "x")
    tokens = processor.llm.encode_text(cut.text)
    assert 0 < len(tokens) <= processor.config.memory_length
    assert "cut" in cut.note


def test_eight_devices_draw_the_same(folder, model, drawn):
    many = bridge_jax.load(folder, {"data": -1})
    assert many.engine.parts == jax.device_count() == 8
    theirs = many.generate(["a", "b"], condition="text", **FAST)
    ours = model.generate(["a", "b"], condition="text", **FAST)
    for one, other in zip(theirs, ours, strict=True):
        assert _apart(one.images, other.images) <= 1
    # Of another size, in parts, with something to draw away from; six rows fill up.
    seen, choices = [], {"size": (8, 12), "negative": "c", "condition": "text"}
    watching = {"previews": lambda *shown: seen.append(shown), "preview_every": 1}
    theirs = many.generate(["a", "b"], **choices, **watching, **FAST)
    ours = model.generate(["a", "b"], **choices, **FAST)
    for one, other in zip(theirs, ours, strict=True):
        assert _apart(one.images, other.images) <= 1
    assert [images.shape for *_, images in seen] == [(2, 8, 12, 3)]


def test_other_weights_share_the_programs(model, drawn):
    params = jax.tree.map(lambda a: np.asarray(a) * 1.1, model.params)
    other = model.with_params(params)
    compiled = model.engine._compiled[paint.paint, True, ()]
    before = compiled._cache_size()
    theirs = other.generate(["a red circle", "two stars"], **FAST)
    assert _apart(theirs[0].images, drawn[0].images) > 0
    assert compiled._cache_size() == before


@pytest.mark.parametrize(
    ("prompts", "options", "words"),
    [
        ([""], {}, "prompt 0 is empty"),
        ([], {}, "no prompt"),
        (["a"], {"sampler": "euler"}, "euler"),
        (["a"], {"steps": 0}, "0 sampling steps"),
        (["a"], {"guidance": -1}, "guidance"),
        (["a"], {"rescale": 2.0}, "rescale"),
        (["a"], {"condition": "txet"}, "did you mean 'text'"),
        (["a"], {"stepz": 3}, "did you mean 'steps'"),
        (["a"], {"images_per_prompt": 0}, "images_per_prompt"),
        (["a " * 200], {"rewrite": False}, "at most 36 tokens"),
        (["a " * 2000], {}, "context"),
    ],
)
def test_mistakes_are_one_line(model, prompts, options, words):
    with pytest.raises(BridgeError, match=words) as raised:
        model.generate(prompts, **options)
    assert "\n" not in str(raised.value)


def test_edits_need_pairs_and_imagination(model, pictures):
    with pytest.raises(BridgeError, match="1 and 2"):
        model.edit(pictures[:1], ["a", "b"])
    with pytest.raises(BridgeError, match="rewrite"):
        model.edit(pictures[:1], ["a"], rewrite=False)


def test_settings_report_all_mistakes_at_once():
    with pytest.raises(BridgeError, match=r"guidance.*rescale"):
        settings.make({"guidance": float("nan"), "rescale": -1})
    assert dataclasses.asdict(settings.make({}))["bert"] == "empty"
