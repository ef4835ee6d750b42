"""LatentUMM inside a unified model: whose states, which parameters, the real path."""

import functools

import jax
import jax.numpy as jnp
import miniature
import numpy as np
import pytest

from bridge_jax.core import rng
from bridge_jax.data import patches
from bridge_jax.models import build, latent_spaces, view
from bridge_jax.objectives import base, consistency

TERMS = {
    "modal": {"name": "latent_modal"},
    "task": {"name": "latent_task"},
    "target": {"name": "latent_target"},
    "preference": {"name": "latent_preference", "rollouts": 2},
}
WIDTHS = {"llm": 32, "aligner": 16}


def model(of):
    table = miniature.config("configs/shapes_stage2.py:tiny").model
    maps = {"family": "latent_maps", **miniature.PARTS["maps"], "hidden": WIDTHS[of]}
    bundle = build.build({**table, "maps": maps})
    return bundle, miniature.params(bundle)


def look(bundle, params, batch, train=True):
    streams = rng.Streams(0, 0)
    return view.View(
        bundle, params, batch, rngs=streams, step=jnp.int32(0), train=train
    )


def moved(gradient):
    """Parts with a gradient."""
    return {
        part
        for part, tree in gradient.items()
        if any(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(tree))
    }


@pytest.mark.parametrize("of", ["llm", "aligner"])
def test_terms_are_those_of_the_pooled_states(of):
    """Against plain arithmetic on the states; gradients reach what makes them."""
    bundle, params = model(of)
    batch = miniature.rows("shapes_retrieve", range(3), frozen=12)
    made = base.load({k: {**given, "space": of} for k, given in TERMS.items()})

    @jax.jit
    @functools.partial(jax.value_and_grad, has_aux=True)
    def losses(params):
        one = look(bundle, params, batch, train=False)
        space = one.space(of)
        terms = {label: objective(one).mean() for label, objective in made.items()}
        states = {kind: space.latent(kind) for kind in latent_spaces.MODALITIES}
        return sum(terms.values()), (terms, states)

    (_, (terms, states)), gradient = losses(params)
    there = {
        kind: bundle.apply("maps", params, state) for kind, state in states.items()
    }
    (text, back), (image, _) = there["text"], there["image"]

    def apart(a, b):
        return float(np.mean(np.square(np.asarray(a) - np.asarray(b))))

    wanted = {
        "modal": apart(text, image),
        "task": apart(states["text"], back),
        "target": (apart(text, batch["text"]) + apart(image, batch["image"])) / 2,
    }
    for name, value in wanted.items():
        assert value > 1e-4, name
        np.testing.assert_allclose(terms[name], value, rtol=1e-4, err_msg=name)
    noise = jax.random.normal(rng.stream(0, "rollouts"), (2, *states["text"].shape))
    scores = [
        consistency.cosine(states["text"], bundle.apply("maps", params, z)[1])
        for z in consistency.rollouts(states["text"], noise, 0.05)
    ]
    expected = consistency.towards_best(jnp.stack(scores))
    np.testing.assert_allclose(
        terms["preference"], expected[0] / expected[1], rtol=1e-4
    )
    reached = {"maps", "vlm"} | (
        {"projector", "aligner", "retrieval"} if of == "aligner" else set()
    )
    assert moved(gradient) == reached


def test_states_of_the_llm_are_means_over_what_counts():
    bundle, params = model("llm")
    batch = miniature.rows("shapes_retrieve", range(2))

    @jax.jit
    def run(params):
        one = look(bundle, params, batch, train=False)
        return one.space("llm").latent("text"), one.hidden("vlm_text")

    pooled, hidden = run(params)
    for row in range(2):
        chosen = batch["text_index"][row][batch["text_mask"][row]]
        np.testing.assert_allclose(
            pooled[row], np.asarray(hidden)[row, chosen].mean(0), atol=1e-5
        )


@pytest.mark.parametrize(("height", "width"), [(64, 64), (32, 64)])
def test_pictures_become_the_patches_that_data_makes(height, width):
    bundle = miniature.bundle("vlm")
    vision = bundle["vlm"].config.vision
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (2, height, width, 3), np.uint8)
    given = images.astype(np.float32) / 127.5 - 1
    made = bundle.apply("vlm", {"vlm": {}}, jnp.asarray(given), 64, method="to_patches")
    wanted, _ = patches.batch_to_patches(
        images, vision.patch, vision.temporal_patch, vision.merge
    )
    count = wanted.shape[1]
    np.testing.assert_allclose(made[:, :count], wanted, atol=1e-5)
    assert made.shape[1] == 64 and not np.asarray(made[:, count:]).any()


def test_what_is_shown_is_seen():
    """The batch's own pictures, shown, have the embeddings they had."""
    bundle, params = model("aligner")
    batch = miniature.rows("shapes_generate", range(2), sides=True)

    @jax.jit
    def run(params, pictures):
        one = look(bundle, params, batch, train=False)
        both = one.shown(jnp.repeat(pictures, 2, axis=0)).embedding("image")
        return one.embedding("image"), both

    pictures = batch["images"].astype(np.float32) / 127.5 - 1
    own, shown = run(params, jnp.asarray(pictures))
    np.testing.assert_allclose(shown, np.repeat(own, 2, axis=0), atol=1e-5)
    _, others = run(params, jnp.asarray(pictures[::-1].copy()))
    np.testing.assert_allclose(others, np.repeat(own[::-1], 2, axis=0), atol=1e-5)
    assert np.abs(np.asarray(own[0] - own[1])).max() > 1e-3


def test_the_real_path_teaches_what_draws():
    bundle, params = model("aligner")
    batch = miniature.rows("shapes_generate", range(2), sides=True)
    given = {"path": {"name": "path_preference", "rollouts": 3, "steps": 2}}
    objective = base.load(given)["path"]

    @jax.jit
    @functools.partial(jax.value_and_grad, has_aux=True)
    def loss(params):
        made = objective(look(bundle, params, batch))
        return made.mean(), made.metrics

    (value, figures), gradient = loss(params)
    assert np.isfinite(value) and value >= np.log(2) - 1e-6  # the best itself: log 2
    best, worst = (float(figures[name][0]) / 2 for name in ("best", "worst"))
    assert -1 <= worst < best <= 1
    # By way of the decoder and of looking again, but not by what should be shown.
    ways = {"aligner", "bert", "dit", "projector", "retrieval", "vae", "vlm"}
    assert moved(gradient) == ways
    assert not np.abs(gradient["retrieval"]["text_queries"]).any()
