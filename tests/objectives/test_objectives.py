"""Objectives by name, and their losses against plain arithmetic."""

import dataclasses

import jax
import jax.numpy as jnp
import miniature
import numpy as np
import pytest

from bridge_jax.core import rng, term, trees
from bridge_jax.core.errors import BridgeError
from bridge_jax.data import rows
from bridge_jax.diffusion import schedules
from bridge_jax.models import build, view
from bridge_jax.objectives import base, diffusion, sft

MINE = '''"""An idea in one file."""
import dataclasses
import jax.numpy as jnp
from bridge_jax.core import term
from bridge_jax.objectives import base

@dataclasses.dataclass(frozen=True)
class Objective(base.Base):
    power: float = 2.0

    def __call__(self, view):
        x = view.batch["x"]
        return term.Term(jnp.sum(x**self.power), jnp.float32(x.size))
'''


def test_a_file_outside_the_package_is_an_objective(tmp_path, monkeypatch):
    (tmp_path / "my_ideas").mkdir()
    (tmp_path / "my_ideas" / "powers.py").write_text(MINE)
    monkeypatch.syspath_prepend(tmp_path)
    given = {"mine": {"name": "my_ideas.powers", "weight": 0.5, "power": 3}}
    mine = base.load(given)["mine"]
    assert (mine.weight, mine.stream, mine.power) == (0.5, "main", 3.0)
    batch = {"x": jnp.array([1.0, 2.0])}
    one = view.View(None, {}, batch, rngs=rng.Streams(0, 0), step=jnp.int32(0))
    assert float(mine(one).mean()) == 4.5


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"contrast": {}}, "did you mean 'contrastive'.*sft"),
        ({"x": {"name": "my.nothing"}}, "objectives.x: there is no module my.nothing"),
        ({"x": {"name": "bridge_jax.core.term"}}, "term defines no Objective"),
        ({"sft": {"wieght": 1.0}}, "objectives.sft.wieght .did you mean 'weight'"),
        (
            {"sft": {"blocks": 0, "learnt": -1}},
            "sft: learnt is -1; 0 learns all tokens; blocks is 0; 1 makes all scores",
        ),
    ],
)
def test_mistakes_are_explained(given, message):
    with pytest.raises(BridgeError, match=message):
        base.load(given)


@jax.jit
def sums(logits, tokens, mask):
    total, more = sft.cross_entropy(logits, *sft.following(tokens, mask))
    return total, *more


def test_gradients_of_cross_entropy_are_those_of_log_softmax():
    draw = np.random.default_rng(0)
    logits = jnp.asarray(draw.normal(scale=3, size=(2, 5, 7)), jnp.float32)
    targets = jnp.asarray(draw.integers(0, 7, (2, 5)))
    weights = jnp.asarray(draw.uniform(size=(2, 5)), jnp.float32)

    def plain(logits):
        log_p = jax.nn.log_softmax(logits)
        said = jnp.take_along_axis(log_p, targets[..., None], axis=-1)[..., 0]
        return -jnp.sum(said * weights)

    def ours(logits):
        return sft.cross_entropy(logits, targets, weights)[0]

    for one, other in zip(
        jax.value_and_grad(ours)(logits),
        jax.value_and_grad(plain)(logits),
        strict=True,
    ):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_cross_entropy_of_scores_that_are_far_apart_is_finite():
    logits = jnp.asarray([[[1e4, -1e4, 0.0]]], jnp.float32)

    def total(logits):
        return sft.cross_entropy(logits, jnp.array([[1]]), jnp.ones((1, 1)))[0]

    loss, slope = jax.value_and_grad(total)(logits)
    assert loss == 2e4
    np.testing.assert_allclose(slope, [[[1.0, -1.0, 0.0]]])


def test_a_token_is_predicted_if_none_scores_higher():
    logits = jnp.asarray([[[0.0, 2.0, 1.0], [2.0, 2.0, 1.0], [0.0, 1.0, 2.0]]])
    _, (count, right) = sft.cross_entropy(
        logits, jnp.array([[1, 1, 1]]), jnp.asarray([[1.0, 2.0, 4.0]])
    )
    assert (count, right) == (7.0, 3.0)


def test_cross_entropy_is_that_of_a_plain_loop():
    draw = np.random.default_rng(0)
    logits = draw.normal(size=(3, 5, 7)).astype(np.float32)
    tokens = draw.integers(0, 7, (3, 5))
    mask = draw.random((3, 5)) < 0.6
    mask[:, 0] = True  # what comes first was never predicted
    total, count, right = 0.0, 0, 0
    for row in range(3):
        for at in range(1, 5):
            if mask[row, at]:
                before = logits[row, at - 1].astype(np.float64)
                p = np.exp(before) / np.exp(before).sum()
                total -= np.log(p[tokens[row, at]])
                count += 1
                right += int(np.argmax(before) == tokens[row, at])
    got = sums(logits, tokens, mask)
    np.testing.assert_allclose(got, (total, count, right), rtol=1e-6)
    changed = sums(logits, np.where(mask, tokens, 0), mask)
    assert float(changed[0]) == float(got[0])  # tokens not counted are not read
    nothing = sums(logits, tokens, np.zeros_like(mask))
    assert [float(value) for value in nothing] == [0.0, 0.0, 0.0]


def test_packing_changes_no_loss():
    """Two conversations in one row, or each in its own."""
    processor, bundle = miniature.PROCESSOR, miniature.bundle("vlm")
    one = processor.draw("two red cubes", "a small red cube top left")
    two = processor.draw("a star", "a large blue star top")

    def batch(*given):
        made = [rows.language(row, 88, processor.llm.pad_id) for row in given]
        fields = miniature.collate(made)
        mask = fields.pop("response")
        fields.pop("caption")
        return {"vlm": fields, "loss_mask": mask}

    params = miniature.params(bundle)

    @jax.jit
    def loss(batch):
        given = view.View(
            bundle, params, batch, rngs=rng.Streams(0, 0), step=jnp.int32(0)
        )
        return sft.Objective()(given)

    packed, apart = loss(batch([one, two], [])), loss(batch([one], [two]))
    assert float(packed.weight) == float(apart.weight) > 10
    np.testing.assert_allclose(packed.value_sum, apart.value_sum, rtol=1e-5)
    np.testing.assert_allclose(packed.mean(), apart.mean(), rtol=1e-5)


@dataclasses.dataclass
class Drawn:
    """A view whose denoiser answers by a function of (noisy, signal, sigma)."""

    answer: object
    latents: jax.Array
    step: int = 0

    rngs = rng.Streams(0, 0)

    def denoise(self, noisy, timesteps, condition):
        assert condition == "queries"
        schedule, t = schedules.Schedule(), timesteps.astype(jnp.int32)
        signal = schedules.at(schedule.signal, t, noisy.ndim)
        sigma = schedules.at(schedule.sigma, t, noisy.ndim)
        return self.answer(noisy, signal, sigma)


def diffused(answer, latents):
    """The term of diffusion, as one program."""

    @jax.jit
    def run(latents):
        return diffusion.Objective()(Drawn(answer, latents))

    return run(latents)


def test_diffusion_is_zero_for_the_true_velocity():
    latents = jax.random.normal(jax.random.key(0), (4, 8, 8, 2))

    def velocity(noisy, signal, sigma):
        noise = (noisy - signal * latents) / sigma
        made = signal * noise - sigma * latents
        return jnp.concatenate([made, made], axis=-1)  # the second half is a variance

    right = diffused(velocity, latents)
    assert float(right.mean()) < 1e-6 and float(right.weight) == latents.size
    silent = diffused(lambda x, *_: jnp.zeros_like(x), latents)
    assert 0.7 < float(silent.mean()) < 1.3  # the second moment of v is one


def test_draws_of_diffusion_differ_and_all_count():
    latents = jax.random.normal(jax.random.key(0), (2, 4, 4, 2))

    @jax.jit
    def run(latents):
        seen = []

        def silent(noisy, signal, sigma):
            seen.append((noisy - signal * jnp.repeat(latents, 3, axis=0)) / sigma)
            return jnp.zeros_like(noisy)

        return diffusion.Objective(draws=3)(Drawn(silent, latents)), seen

    made, seen = run(latents)
    assert float(made.weight) == 3 * latents.size
    noise = np.asarray(seen[0]).reshape(6, -1)
    assert np.abs(np.corrcoef(noise) - np.eye(6)).max() < 0.8
    assert 0.6 < noise.std() < 1.4


def test_terms_of_two_batches_merge_exactly():
    draw = np.random.default_rng(1)
    logits = draw.normal(size=(4, 5, 7)).astype(np.float32)
    tokens, mask = draw.integers(0, 7, (4, 5)), draw.random((4, 5)) < 0.5

    def of(part):
        return term.Term(*sums(logits[part], tokens[part], mask[part])[:2])

    merged = term.merge(of(slice(0, 1)), of(slice(1, 4)))
    np.testing.assert_allclose(merged.mean(), of(slice(0, 4)).mean(), rtol=1e-6)


def spoken(tied=True):
    """A model, its parameters, and rows of which half of the tokens are learnt."""
    told = {"family": "qwen2_vl", "size": "tiny", "tied_embeddings": tied}
    bundle = build.build({"vlm": told | miniature.PARTS["vlm"]})
    draw = np.random.default_rng(0)
    tokens = draw.integers(10, 500, (3, 17))
    vlm = {
        "tokens": tokens,
        "positions": np.broadcast_to(np.arange(17), (3, 3, 17)),
        "segments": np.ones_like(tokens),
        "image_index": np.full_like(tokens, -1),
    }
    batch = {"vlm": vlm, "loss_mask": draw.random((3, 17)) < 0.5}
    return bundle, miniature.params(bundle), batch


def answered(bundle, params, batch, **given):
    """The objective's gradient and Term."""

    def loss(params):
        streams = rng.Streams(0, 0)
        seen = view.View(bundle, params, batch, rngs=streams, step=jnp.int32(0))
        found = sft.Objective(**given)(seen)
        return found.mean(), found

    return jax.jit(jax.grad(loss, has_aux=True))(params)


def assert_same_gradients(found, wanted):
    moved = trees.flatten(found)
    assert any(np.abs(leaf).max() > 1e-3 for leaf in moved.values())
    for path, plain in trees.flatten(wanted).items():
        np.testing.assert_allclose(moved[path], plain, atol=1e-6, err_msg=path)


@pytest.mark.parametrize("tied", [True, False])
def test_answers_in_blocks_are_those_at_once(tied):
    given = spoken(tied)
    (whole, wanted), (gradient, found) = answered(*given), answered(*given, blocks=4)
    for one, plain in zip(*map(jax.tree.leaves, (found, wanted)), strict=True):
        np.testing.assert_allclose(one, plain, rtol=1e-5)
    assert_same_gradients(gradient, whole)


@pytest.mark.parametrize("blocks", [1, 4])
def test_scores_where_something_is_learnt_are_all_that_is_needed(blocks):
    given = spoken()
    most = int(given[2]["loss_mask"][:, 1:].sum(axis=1).max())
    assert most < 16
    whole, wanted = answered(*given)
    gradient, found = answered(*given, learnt=most, blocks=blocks)
    for name in ("value_sum", "weight"):
        one, plain = getattr(found, name), getattr(wanted, name)
        np.testing.assert_allclose(one, plain, rtol=1e-5)
    assert found.metrics["token_accuracy"] == wanted.metrics["token_accuracy"]
    assert float(found.metrics["left_out"][0]) == 0.0
    assert_same_gradients(gradient, whole)


def test_of_each_row_the_first_tokens_are_learnt_and_the_rest_is_told():
    bundle, params, batch = spoken()
    _, found = answered(bundle, params, batch, learnt=4)
    mask = batch["loss_mask"][:, 1:]
    first = np.cumsum(mask, axis=1) <= 4
    fewer = batch | {"loss_mask": batch["loss_mask"] & np.pad(first, ((0, 0), (1, 0)))}
    _, wanted = answered(bundle, params, fewer)
    np.testing.assert_allclose(found.value_sum, wanted.value_sum, rtol=1e-5)
    left, every = found.metrics["left_out"]
    assert float(every) == mask.sum() > float(found.weight) == (mask & first).sum()
    assert float(left) == float(every) - float(found.weight)
