"""What a View promises: each thing once, causal states, queries where they belong."""

import collections
import functools

import jax
import jax.numpy as jnp
import miniature
import numpy as np
import pytest

from bridge_jax.core import rng
from bridge_jax.models import build, replacement, view
from bridge_jax.models import bundle as bundle_lib
from bridge_jax.objectives import base


class Counting(bundle_lib.Bundle):
    """A bundle that counts the calls of its parts."""

    def apply(self, name, params, *args, **kwargs):
        self.calls[(name, kwargs.get("method"))] += 1
        return super().apply(name, params, *args, **kwargs)

    @functools.cached_property
    def calls(self):
        return collections.Counter()


@pytest.fixture(scope="module")
def bundle():
    return Counting(miniature.bundle().parts)


@pytest.fixture(scope="module")
def params(bundle):
    return miniature.params(bundle)


def look(bundle, params, batch, ratio=1.0, train=False):
    return view.View(
        bundle,
        params,
        batch,
        rngs=rng.Streams(0, 0),
        step=jnp.int32(0),
        schedule=replacement.fixed(ratio),
        train=train,
    )


def trace(bundle, params, objectives, batch):
    """Call counts of a trace (never compiled) of all objectives on one view."""
    bundle.calls.clear()
    made = base.load(objectives)

    def loss(params, batch):
        one = look(bundle, params, batch, train=True)
        return {label: objective(one) for label, objective in made.items()}

    jax.eval_shape(loss, params, batch)
    return dict(bundle.calls)


def test_objectives_share_what_they_read(bundle, params):
    calls = trace(
        bundle,
        params,
        {
            "semantic": {},
            "again": {"name": "semantic"},
            "diffusion": {"condition": "queries"},
            "text": {"name": "diffusion", "condition": "text"},
        },
        miniature.rows("shapes_generate", range(2)),
    )
    denoised = calls.pop(("dit", None))
    assert denoised == 2  # once for each condition
    assert set(calls.values()) == {1}
    parts = {name for name, _ in calls}
    assert parts == {"vlm", "projector", "aligner", "mt5", "bert", "vae"}


def test_nothing_is_computed_that_nobody_reads(bundle, params):
    batch = miniature.rows("shapes_generate", range(2))
    calls = trace(bundle, params, {"semantic": {}}, batch)
    assert not {"bert", "vae", "dit", "retrieval"} & {name for name, _ in calls}
    batch = miniature.rows("shapes_caption", range(2))
    calls = trace(bundle, params, {"sft": {}}, batch)
    assert calls == {("vlm", None): 1, ("vlm", "logits"): 1}
    twice = {"contrastive": {}, "more": {"name": "contrastive", "t2t_weight": 1.0}}
    batch = miniature.rows("shapes_retrieve", range(2))
    calls = trace(bundle, params, twice, batch)
    assert calls[("vlm", None)] == calls[("aligner", None)] == 2  # picture and text
    assert calls[("retrieval", "embed_text")] == 1


def test_states_of_a_picture_do_not_depend_on_what_follows(bundle, params):
    """What retrieval and editing read alone is what a conversation shows."""
    processor = miniature.PROCESSOR
    picture = processor.look_at(
        np.random.default_rng(0).integers(0, 256, (64, 48, 3), np.uint8)
    )
    grid = picture[1]
    conversations = [
        processor.look(grid),
        processor.describe("a red cube", grid),
        processor.edit("remove the cube", None, grid),
    ]
    fields = [processor.vlm([row], [picture], 48, 64)[0] for row in conversations]
    batch = {"vlm": miniature.collate(fields)}
    hidden = jax.jit(lambda p, b: look(bundle, p, b).hidden())(params, batch)
    last = int(np.flatnonzero(fields[0]["image_index"] >= 0)[-1]) + 1
    alone = np.asarray(hidden[0, :last])
    assert np.abs(alone).max() > 0.1
    for other in hidden[1:]:
        np.testing.assert_allclose(other[:last], alone, atol=1e-5)
    assert np.abs(np.asarray(hidden[1, last + 2] - hidden[2, last + 2])).max() > 1e-3


def test_some_states_are_read_once_and_taken_from_all_that_are_there(bundle, params):
    batch = miniature.rows("shapes_generate", range(2))

    def read(params, batch, whole):
        one = look(bundle, params, batch)
        every = one.hidden() if whole else None
        return every, one.states(), one.states()

    def run(whole):
        bundle.calls.clear()
        found = jax.jit(functools.partial(read, whole=whole))(params, batch)
        assert bundle.calls == {("vlm", None): 1}
        return found

    every, taken, again = run(True)
    index = batch["memory_index"][..., None]
    np.testing.assert_array_equal(taken, np.take_along_axis(every, index, axis=1))
    np.testing.assert_array_equal(taken, again)
    np.testing.assert_allclose(run(False)[1], taken, atol=1e-5)


@pytest.fixture(scope="module")
def aligned(bundle, params):
    """batch, ratio -> aligner output and replaced positions, compiled once."""

    @functools.partial(jax.jit, static_argnums=1)
    def run(batch, ratio):
        one = look(bundle, params, batch, ratio)
        return one.aligned, one.replace, one.memory()

    return run


def test_learned_queries_hide_the_caption_where_they_stand(aligned):
    batch = miniature.rows("shapes_generate", range(2))
    batch = {name: batch[name] for name in batch if name not in ("images",)}
    other = batch | {"t5_tokens": batch["t5_tokens"][::-1].copy()}
    mixed = np.array([True, False])
    for given in (batch, other):
        given["replaceable"] = mixed
    first, replace, _ = aligned(batch, 1.0)
    second, _, _ = aligned(other, 1.0)
    np.testing.assert_array_equal(replace, np.repeat(mixed[:, None], 36, axis=1))
    np.testing.assert_array_equal(first[0], second[0])
    assert np.abs(np.asarray(first[1] - second[1])).max() > 1e-3


def test_the_memory_is_zero_where_nothing_is_remembered(aligned):
    batch = miniature.rows("shapes_generate", range(2))
    batch.pop("images")
    batch["replaceable"] = np.array([True, True])
    out, _, memory = aligned(batch, 1.0)
    masked = ~batch["memory_mask"]
    assert masked.any() and not np.asarray(memory)[masked].any()
    batch["memory_index"] = np.where(masked, 5, batch["memory_index"])
    again, _, _ = aligned(batch, 1.0)
    np.testing.assert_array_equal(out, again)


def test_uint8_pictures_become_signed_floats(bundle):
    batch = {"images": jnp.array([0, 255], jnp.uint8).reshape(1, 1, 2, 1)}
    images = look(bundle, {}, batch).images
    assert images.dtype == jnp.float32 and images.ravel().tolist() == [-1.0, 1.0]
    batch = {"images": jnp.zeros((1, 1, 2, 1))}
    assert look(bundle, {}, batch).images is batch["images"]


def test_given_latents_are_used_as_they_are(bundle):
    batch = {"latents": jnp.ones((1, 8, 8, 8))}
    assert look(bundle, {}, batch).latents is batch["latents"]


def test_fewer_queries_stand_for_the_first_positions():
    """The decoder sees no more of the text than there are learned queries."""
    table = miniature.config("configs/shapes_stage2.py:tiny").model
    table.aligner.queries = 5
    few = build.build(table)
    batch = miniature.rows("shapes_generate", range(2))
    length = batch["t5_mask"].shape[1]

    @jax.jit
    def run(params):
        one = look(few, params, batch, train=False)
        conditions = {
            "all": one.condition("queries"),
            "caption": one.condition("queries", "caption"),
            "text": one.condition("text"),
        }
        semantic = base.load({"semantic": {}})["semantic"](one)
        return one.aligned, conditions, semantic.mean(), one.mt5_states

    aligned, conditions, loss, target = run(miniature.params(few))
    assert aligned.shape[1] == 5
    for name, (states, mask) in conditions.items():
        assert states.shape[1] == length
        if name != "text":
            np.testing.assert_array_equal(states[:, :5], aligned)
            assert not np.asarray(states[:, 5:]).any()
            assert (np.asarray(mask) == (np.arange(length) < 5)).all(), name
    np.testing.assert_array_equal(conditions["text"][1], batch["t5_mask"])
    wanted = np.mean(np.square(np.asarray(aligned - target[:, :5])))
    np.testing.assert_allclose(loss, wanted, rtol=1e-5)
