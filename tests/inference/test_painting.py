"""Sizes, negative prompts, previews and strength: what they change, and what not."""

import threading

import numpy as np
import pytest

from bridge_jax.core import trees
from bridge_jax.core.errors import BridgeError
from bridge_jax.data import aspects
from bridge_jax.inference import results, settings
from bridge_jax.inference.drawing import captions, draw, paint, sizes

PROMPTS = ["a red circle", "two stars"]
FAST = {"steps": 3, "condition": "text", "rewrite": False, "guidance": 8.0}
TALL = (24, 16)


def _apart(first, second):
    assert first.shape == second.shape
    return int(np.abs(first.astype(int) - second.astype(int)).max())


class Seen:
    """A callback that remembers, and stops the work after `most` calls."""

    def __init__(self, most=99):
        self.calls, self.most, self.threads = [], most, set()

    def __call__(self, step, steps, images):
        self.threads.add(threading.get_ident())
        self.calls.append((step, steps, images))
        if len(self.calls) == self.most:
            raise InterruptedError("enough")

    @property
    def steps(self):
        return [(step, steps) for step, steps, _ in self.calls]


def heeding(model):
    """A model whose decoder follows the text more than random weights do."""

    def stronger(path, leaf):
        hears = "vector_mlp/fc2/kernel" in path or "cross_attention/output" in path
        return np.asarray(leaf) * (8 if hears else 1)

    changed = {"dit": trees.map_paths(stronger, model.params["dit"])}
    return model.with_params(dict(model.params) | changed)


@pytest.fixture(scope="module")
def model(model):
    return heeding(model)


@pytest.fixture(scope="module")
def plain(model):
    return model.generate(PROMPTS, **FAST)


@pytest.fixture(scope="module")
def mixed(model):
    """Of two sizes, with a negative prompt for one of them."""
    return model.generate(PROMPTS, size=[TALL, None], negative=["", "a ring"], **FAST)


def test_sizes_and_negatives_depend_on_no_other_request(model, plain, mixed):
    assert mixed[0].images.shape == (1, *TALL, 3)
    assert mixed[0].settings.size == TALL and mixed[1].settings.size is None
    [alone] = model.generate(PROMPTS[:1], size=TALL, **FAST)
    assert _apart(alone.images, mixed[0].images) <= 1
    [own] = model.generate(PROMPTS[1:], negative="a ring", **FAST)
    assert _apart(own.images, mixed[1].images) <= 1
    assert _apart(own.images, plain[1].images) > 2
    both = model.generate(PROMPTS, negative=["", "a ring"], **FAST)
    assert _apart(both[0].images, plain[0].images) <= 1
    assert _apart(both[1].images, own.images) <= 1


def test_the_negative_prompt_takes_the_empty_ones_place(model):
    """A negative of no words is what guidance leads away from without one."""
    read = model.processor.texts("", "")
    batch = {name: np.stack([leaf] * 2) for name, leaf in read.items()}
    rows = {name: leaf[:1] for name, leaf in batch.items()}
    names = {"condition": "text", "mask": "all"}
    engine = model.engine
    shared = {"empty": rows}
    _, nothing = engine.run(paint.conditions, model.params, batch, shared, **names)
    found = engine.run(paint.against, model.params, batch, {})
    for one, other in zip(found, nothing, strict=True):
        np.testing.assert_allclose(one[:1], other, atol=1e-6)


@pytest.mark.parametrize("choices", [{}, {"sampler": "ddpm", "rescale": 0.3}], ids=str)
def test_previews_change_no_bit(model, plain, choices):
    wanted = model.generate(PROMPTS, **FAST, **choices) if choices else plain
    for every, calls in ((2, [(2, 3)]), (9, [])):
        seen = Seen()
        watched = {"previews": seen, "preview_every": every}
        found = model.generate(PROMPTS, **watched, **FAST, **choices)
        assert seen.steps == calls
        for one, other in zip(found, wanted, strict=True):
            np.testing.assert_array_equal(one.images, other.images)
        assert all(x.shape == (2, 16, 16, 3) for *_, x in seen.calls)
        assert all(x.dtype == np.uint8 for *_, x in seen.calls)


def test_previews_come_nearer_to_the_pictures(model):
    seen = Seen()
    longer = {**FAST, "steps": 9, "previews": seen, "preview_every": 1}
    found = np.stack([one.images[0] for one in model.generate(PROMPTS, **longer)])
    errors = [np.abs(x.astype(float) - found).mean() for *_, x in seen.calls]
    assert len(errors) == 8 and errors[-1] < errors[0]


def test_no_program_is_compiled_for_steps_guidance_or_how_often(model):
    watched = {**FAST, "previews": Seen()}
    model.generate(PROMPTS, preview_every=2, **watched)
    programs = [
        model.engine._compiled[program, whole, ()]
        for program, whole in (
            (paint.begin, False),
            (paint.go_on, False),
            (paint.reveal, True),
        )
    ]
    before = [program._cache_size() for program in programs]
    other = {**watched, "steps": 7, "guidance": 5.5, "seed": 3}
    model.generate(PROMPTS, preview_every=3, **other)
    assert [program._cache_size() for program in programs] == before


def test_a_callback_that_raises_ends_the_work(model, plain):
    """In the thread that draws; the model is as it was."""
    seen, raised = Seen(most=2), []

    def work():
        try:
            model.generate(PROMPTS, previews=seen, preview_every=1, **FAST)
        except InterruptedError as error:
            raised.append(str(error))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert raised == ["enough"] and seen.steps == [(1, 3), (2, 3)]
    assert len(seen.threads) == 1 and threading.get_ident() not in seen.threads
    again = model.generate(PROMPTS, **FAST)
    np.testing.assert_array_equal(again[0].images, plain[0].images)


def test_strength_goes_from_the_source_to_noise(model, pictures, monkeypatch):
    """Of sources of another aspect ratio, which the edits follow."""

    def imagined(engine, params, sources, wishes):
        return [results.Caption("a ring")] * len(wishes)

    monkeypatch.setattr(captions, "of_edits", imagined)
    sources = [np.concatenate([one, pictures[0]], axis=1) for one in pictures[:2]]
    common = {"size": "source", "condition": "text", "steps": 4}
    wide = (12, 20)

    def edited(**choices):
        made = model.edit(sources, ["make it red", "clear it"], **common, **choices)
        assert made[0].settings.size == made[0].images.shape[1:3] == wide
        return np.stack([one.images[0] for one in made])

    whole, full = edited(), edited(strength=1.0)
    np.testing.assert_array_equal(full, whole)
    half, seen = edited(strength=0.5), Seen()
    watched = edited(strength=0.5, previews=seen, preview_every=1)
    np.testing.assert_array_equal(watched, half)
    assert seen.steps == [(1, 2)] and _apart(half, whole) > 2
    none = edited(strength=0, previews=seen)
    assert seen.steps == [(1, 2)]
    small = {"images": np.stack([aspects.cut(one, wide)[0] for one in sources])}
    latents = {"latents": model.engine.run(paint.encode, model.params, small, {})}
    found = model.engine.run(paint.reveal, model.params, latents, {}, longest=np.inf)
    np.testing.assert_array_equal(none, found)


def test_sizes_like_a_picture(model):
    assert sizes.like(model.engine, 64, 64) == (16, 16)
    assert sizes.like(model.engine, 10, 9999) == (8, 32)


def test_steps_that_are_left_out():
    made = settings.make({"steps": 25, "strength": 0.28})
    assert (made.start, settings.make({}).start) == (25 - 7, 0)
    assert settings.make({"strength": 1e-4}).start == 24
    assert settings.make({"strength": 0}).start == 25


def test_larger_pictures_run_fewer_at_once(model):
    """`Limits.images` are 2 of 16 x 16."""
    made = settings.each({"size": [None, (32, 32), (32, 32), None, (8, 8)]}, 5)
    chunks = [chunk.indices for chunk in draw._chunks(model.engine, made, 1)]
    assert chunks == [(0, 3), (1,), (2,), (4,)]


MISTAKES = {
    "size": ((18, 16), "multiples of 4 from 4 to 64"),
    "negative": (["a"], "1 were given for 2"),
    "strength": (0.5, "of edits"),
    "preview_every": (0, "preview_every 0"),
    "previews": (3, "no function"),
    "guidance": (-1, "guidance -1"),
    "images_per_prompt": (0, "images_per_prompt"),
}


def test_all_mistakes_come_at_once(model):
    given = {name: value for name, (value, _) in MISTAKES.items()}
    with pytest.raises(BridgeError) as raised:
        model.generate(["a", " "], **given)
    told = str(raised.value)
    # Sizes are measured, and negatives counted, when there are prompts and settings.
    now = ("strength", "preview_every", "previews", "guidance", "images_per_prompt")
    assert "prompt 1 is empty" in told and "\n" not in told
    assert not [name for name in now if MISTAKES[name][1] not in told]


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"size": (18, 16)}, r"18 x 16: .* multiples of 4 from 4 to 64"),
        ({"size": (68, 16)}, "from 4 to 64"),
        ({"size": [(16, 16), (0, 16)]}, r"\(0, 16\) is not \(height, width\)"),
        ({"size": "source"}, "'source' is not"),
        ({"size": (16.5, 16)}, "16.5"),
        ({"negative": ["a"]}, "negative: 1 were given for 2; give one for all"),
        ({"negative": 3}, "negative 3 is no text"),
        ({"negative": "a", "guidance": 1.0}, "guidance other than 1"),
        ({"negative": "a " * 60}, "too long"),
        ({"strength": 2.0}, "between 0 and 1; strength is of edits"),
        ({"guidance": "3"}, "guidance 3 is not a number"),
    ],
    ids=str,
)
def test_mistakes(model, choices, words):
    with pytest.raises(BridgeError, match=words) as raised:
        model.generate(PROMPTS, **choices)
    assert "\n" not in str(raised.value)


def test_mistakes_of_edits_come_at_once(model, pictures):
    with pytest.raises(BridgeError) as raised:
        model.edit(pictures[:1], ["a", "b"], rewrite=False, strength=-1, size=(3, 4))
    told = str(raised.value)
    assert "1 and 2" in told and "rewrite" in told and "strength -1" in told


def test_the_largest_and_smallest_sizes_are_allowed(model):
    fine = settings.each({"size": [(64, 4), (4, 64)]}, 2)
    assert sizes.problems(model.engine, fine) == []
