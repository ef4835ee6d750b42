"""LatentUMM's terms as files: what they prefer, what they train, what they refuse."""

import json

import jax
import jax.numpy as jnp
import miniature
import numpy as np
import pytest

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import pipeline
from bridge_jax.objectives import consistency
from bridge_jax.train import recipe

FALLING = {"modal", "task", "target", "preference"}


class Losses:
    every = 1

    def __init__(self):
        self.seen = []

    def __call__(self, step, state, figures):
        self.seen.append(figures)


def mean(pair):
    return float(pair[0] / pair[1])


def test_one_form_rewards_a_gap_and_the_other_does_not():
    narrow, wide = jnp.array([[0.9], [0.8]]), jnp.array([[0.9], [0.1]])
    assert mean(consistency.spread(wide)) < mean(consistency.spread(narrow))
    assert mean(consistency.towards_best(wide)) > mean(consistency.towards_best(narrow))


def test_every_rollout_is_drawn_up_the_last_one_most():
    scores = jnp.array([[0.9, 0.5], [0.85, 0.5], [0.2, 0.4]])
    gradient = jax.grad(lambda s: consistency.towards_best(s)[0])(scores)
    assert (gradient < 0).all()
    assert (jnp.abs(gradient).argmax(0) == 2).all()
    spread = jax.grad(lambda s: consistency.spread(s)[0])(scores)
    assert float(spread[2, 0]) > 0  # as released: the worst is pushed down


@pytest.mark.parametrize("form", sorted(consistency.PREFERENCES))
def test_all_terms_train_together(form, tmp_path):
    config = miniature.config("configs/latentumm.py:stage2")
    config = miniature.started(config, tmp_path / "start")
    config.objectives.preference.form = form
    config.objectives.target = {"name": "latent_target", "weight": 1.0}
    config.streams.main.batch = 16
    config.total_steps = 30
    config.optim.warmup_steps = 0
    config.optim.learning_rate = 1e-2
    seen = Losses()
    recipe.run(recipe.make(config), config, tmp_path / "run", hooks=(seen,))
    assert FALLING <= seen.seen[0].keys()
    for name in ("modal", "task", "target"):
        first, last = (
            np.mean([one[name] for one in part])
            for part in (seen.seen[:5], seen.seen[-5:])
        )
        assert last < 0.8 * first, name
    assert seen.seen[-1]["preference/best"] >= seen.seen[-1]["preference/worst"]


def pairs(count=6):
    draw = np.random.default_rng(0)
    return {
        "text": draw.normal(size=(count, 4)).astype(np.float32),
        "image": draw.normal(size=(count, 5)).astype(np.float32),
    }


def stream(path, **fields):
    given = {"path": str(path), **fields}
    return pipeline.load_stream("paired_embeddings", given, miniature.PROCESSOR)


def write(folder, kind, arrays):
    path = folder / f"pairs.{kind}"
    if kind == "npz":
        np.savez(path, **arrays)
    else:
        rows = zip(arrays["text"].tolist(), arrays["image"].tolist(), strict=True)
        path.write_text(json.dumps([{"text": t, "image": i} for t, i in rows]))
    return path


@pytest.mark.parametrize("kind", ["npz", "json"])
def test_a_file_of_pairs_is_read_whole_in_every_epoch(kind, tmp_path):
    arrays = pairs()
    rows = stream(write(tmp_path, kind, arrays))
    for epoch in (0, 1):
        seen = [rows(6 * epoch + i) for i in range(6)]
        texts = sorted(row["text"].tolist() for row in seen)
        np.testing.assert_allclose(texts, sorted(arrays["text"].tolist()))
        for row in seen:  # a text keeps its picture
            at = np.abs(arrays["text"] - row["text"]).sum(1).argmin()
            np.testing.assert_allclose(row["image"], arrays["image"][at])
    assert [rows(i)["text"][0] for i in range(6)] != [
        rows(6 + i)["text"][0] for i in range(6)
    ]


def test_mistakes_in_a_file_of_pairs_are_told(tmp_path):
    with pytest.raises(BridgeError, match="no file"):
        stream(tmp_path / "none.npz")(0)
    (tmp_path / "pairs.json").write_text('[{"text": [1.0]}]')
    with pytest.raises(BridgeError, match=r"named text and image .*'image'"):
        stream(tmp_path / "pairs.json")(0)
    arrays = pairs()
    arrays["image"][2, 1] = np.nan
    with pytest.raises(BridgeError, match="1 row.s. are not finite, such as 2"):
        stream(write(tmp_path, "npz", arrays))(0)
    short = pairs() | {"image": pairs(4)["image"]}
    np.savez(tmp_path / "short.npz", **short)
    with pytest.raises(BridgeError, match="6 texts and 4 pictures"):
        stream(tmp_path / "short.npz")(0)
