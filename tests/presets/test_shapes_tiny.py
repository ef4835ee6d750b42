"""The shipped bundle: what the README says is of these weights, and they work.

The figures themselves come from `bridge evaluate` at full length. Here are few items,
and bounds that only a broken model misses.
"""

import json
import re
from pathlib import Path

import numpy as np
import pytest

import bridge_jax
from bridge_jax.checkpoint import locate, weights_file
from bridge_jax.cli import main
from bridge_jax.core import trees
from bridge_jax.eval import published
from bridge_jax.eval import run as evaluation
from bridge_jax.models import build
from configs import common

README = Path(__file__).parents[2] / "README.md"
MOST_BYTES = 24e6


@pytest.fixture(scope="module")
def model():
    return bridge_jax.load("shapes-tiny")


def test_it_is_small_and_whole():
    folder = locate.locate("shapes-tiny")
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    assert size <= MOST_BYTES
    described = weights_file.read_config(folder)["model"]
    assert described == build.build(common.TINY).description()
    assert locate.known() == ["shapes-tiny", "shapes-tiny/stage0"]


def test_stage_0_differs_in_the_language_model_alone():
    shipped = trees.flatten(weights_file.load(locate.locate("shapes-tiny")))
    before = trees.flatten(weights_file.load(locate.locate("shapes-tiny/stage0")))
    assert before.keys() <= shipped.keys()
    other = {p for p in before if not np.array_equal(before[p], shipped[p])}
    assert other and all(path.startswith("vlm/llm/") for path in other)
    assert any(path.startswith("vlm/vision/") for path in before)


def test_the_readmes_figures_are_of_these_weights(model):
    table = README.read_text().split(published.BEGIN)[1].split(published.END)[0]
    [shown] = re.findall(r"Weights `(\w+)`", table)
    assert evaluation.weights_hash(model.params).startswith(shown)


def test_it_answers_draws_edits_and_finds(model, tmp_path):
    few = {
        "questions": 60,
        "prompts_per_tag": 2,
        "images_per_prompt": 2,
        "edits": 12,
        "scenes": 48,
    }
    metrics = evaluation.evaluate(model, evaluation.TASKS, "test", tmp_path, **few)
    assert metrics["vqa/exact_match"] >= 0.9
    assert metrics["generation/text/mean"] >= 0.6
    assert metrics["generation/queries/mean"] >= 0.6
    assert metrics["editing/success"] >= 0.5
    assert metrics["retrieval/t2i_r1"] >= 0.8
    assert metrics["retrieval/i2t_r1"] >= 0.8


def test_the_quickstart_goes_all_the_way(tmp_path, capfd):
    """From the shipped parts, with a few steps of everything."""
    work = tmp_path / "quickstart"
    assert main.main(["quickstart", "--tiny", "--workdir", str(work)]) == 0
    metrics = json.loads((work / "metrics.json").read_text())
    for name in ("untrained", "trained", "shipped"):
        assert f"{name}/vqa/exact_match" in metrics
    assert metrics["shipped/vqa/exact_match"] > metrics["untrained/vqa/exact_match"]
    assert (work / "first_look.png").is_file()
    assert (work / "report.html").is_file()
    assert "shipped" in capfd.readouterr().out
