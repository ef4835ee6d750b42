"""All tasks at once: the truth scores 1, noise scores 0, files are as promised."""

import dataclasses
import json

import numpy as np
import oracle
import pytest

import bridge_jax
from bridge_jax.cli import main
from bridge_jax.core.errors import BridgeError
from bridge_jax.eval import provenance, run
from bridge_jax.eval.options import Options

TASKS = tuple(run.TASKS)
SMALL = {
    "questions": 20,
    "prompts_per_tag": 2,
    "images_per_prompt": 2,
    "edits": 12,
    "scenes": 20,
    "chains": 6,
    "cycles": 2,
    "batch": 8,
}
SCORES = (
    "vqa/exact_match",
    "generation/queries/mean",
    "generation/queries/position",
    "generation/queries/caption_right",
    "generation/queries/picture_as_caption",
    "generation/queries/objects_right",
    "generation/text/mean",
    "editing/success",
    "editing/caption_right",
    "editing/move",
    "retrieval/i2t_r1",
    "retrieval/t2i_r10",
    "consistency/text_image_text",
    "consistency/image_text_image/kept_2",
    "consistency/text_image_text/drawn",
    "reconstruction/same",
)


@pytest.fixture(scope="module", params=["test", "heldout"])
def truth(request, tmp_path_factory):
    """(metrics, folder, split) of the model that knows."""
    out = tmp_path_factory.mktemp("truth") / "out"
    model = oracle.Oracle(request.param)
    return run.evaluate(model, TASKS, request.param, out, **SMALL), out, request.param


def test_the_truth_scores_one(truth):
    metrics, _, _ = truth
    assert {name: metrics[name] for name in SCORES} == dict.fromkeys(SCORES, 1.0)


def test_noise_scores_nothing(tmp_path):
    metrics = run.evaluate(oracle.Noise(), TASKS, "test", tmp_path / "out", **SMALL)
    assert {name: metrics[name] for name in SCORES} == dict.fromkeys(SCORES, 0.0)


def test_metrics_file_tells_all(truth):
    metrics, out, split = truth
    assert json.loads((out / "metrics.json").read_text()) == metrics
    settings = metrics["settings"]
    assert settings["split"] == split
    assert settings["weights"] == provenance.weights_hash(oracle.Oracle().params)
    assert settings["tasks"]["generation"]["options"]["steps"] == 25
    assert settings["versions"]["jax"] and settings["matmul_precision"] == "default"
    assert not list(out.glob("*.partial"))


def test_folders_are_as_geneval_has_them(truth):
    _, out, _ = truth
    generation = out / "generation" / "queries"
    assert len(list(generation.glob("[0-9]*/samples/*.png"))) == 6 * 2 * 2
    prompt = json.loads((generation / "00000" / "metadata.jsonl").read_text())
    assert prompt["tag"] == "single_object" and prompt["include"]
    assert (generation / "00000" / "grid.png").is_file()
    edit = out / "editing" / "00000"
    names = {"source.png", "target_scene.json", "metadata.jsonl", "samples"}
    assert names <= {path.name for path in edit.iterdir()}


def test_weights_hash_sees_values_names_and_types():
    params = oracle.Oracle().params["part"]["kernel"]
    changed = params + np.float32(1e-3)
    trees = ({"a": params}, {"b": params}, {"a": changed}, {"a": params.reshape(2, 3)})
    assert len({provenance.weights_hash(tree) for tree in trees}) == 4


def test_resume_does_what_is_missing(tmp_path):
    model = oracle.Oracle()
    out = tmp_path / "out"
    first = run.evaluate(model, ("vqa",), "test", out, **SMALL)
    calls = model.calls
    again = run.evaluate(model, ("vqa",), "test", out, resume=True, **SMALL)
    assert model.calls == calls and again == first
    both = run.evaluate(model, ("vqa", "editing"), "test", out, resume=True, **SMALL)
    assert both.items() >= {k: v for k, v in first.items() if k != "settings"}.items()
    assert set(both["settings"]["tasks"]) == {"vqa", "editing"}
    other = SMALL | {"questions": 8}
    run.evaluate(model, ("vqa",), "test", out, resume=True, **other)
    assert len((out / "vqa" / "answers.jsonl").read_text().splitlines()) == 8


def test_an_option_that_there_was_not_yet_had_its_default():
    """What was measured before counts still; for another value it does not."""
    old = dataclasses.asdict(Options(steps=9)) | {"conditions": ["queries", "text"]}
    del old["best_of"]
    metrics = {"settings": {"tasks": {"editing": {"options": old}}}}
    assert run.is_done(metrics, "editing", Options(steps=9))
    assert not run.is_done(metrics, "editing", Options(steps=9, best_of=2))
    assert not run.is_done(metrics, "vqa", Options(steps=9))


def test_limit(tmp_path):
    metrics = run.evaluate(oracle.Oracle(), ("vqa",), "test", tmp_path / "o", limit=6)
    options = metrics["settings"]["tasks"]["vqa"]["options"]
    assert (options["questions"], options["prompts_per_tag"]) == (6, 1)


def test_mistakes_come_all_at_once(tmp_path):
    with pytest.raises(BridgeError) as error:
        run.evaluate(
            None, ("vqa", "edit"), "tests", tmp_path / "out", question=3, scenes=5
        )
    for word in ("'edit'", "editing", "'tests'", "question", "questions"):
        assert word in str(error.value)
    with pytest.raises(BridgeError, match="captions.*steps|steps.*captions"):
        run.evaluate(None, TASKS, "test", tmp_path / "out", captions="x", steps=0)
    assert not (tmp_path / "out").exists()


def test_nothing_of_others_is_touched(tmp_path):
    (tmp_path / "vqa").mkdir()
    (tmp_path / "vqa" / "mine.txt").write_text("mine")
    with pytest.raises(BridgeError, match="something else"):
        run.evaluate(oracle.Oracle(), ("vqa",), "test", tmp_path, **SMALL)
    assert (tmp_path / "vqa" / "mine.txt").is_file()


def test_other_weights_do_not_mix(tmp_path):
    out = tmp_path / "out"
    run.evaluate(oracle.Oracle(), ("vqa",), "test", out, **SMALL)
    with pytest.raises(BridgeError, match="other weights"):
        run.evaluate(oracle.Noise(), ("editing",), "test", out, **SMALL)
    with pytest.raises(BridgeError, match="other split"):
        run.evaluate(oracle.Oracle("heldout"), ("vqa",), "heldout", out, **SMALL)


def test_the_command_takes_chains_and_cycles(tmp_path, monkeypatch):
    monkeypatch.setattr(bridge_jax, "load", lambda *_, **__: oracle.Oracle())
    asked = ["--tasks", "consistency", "--chains", "5", "--cycles", "2"]
    assert main.main(["evaluate", *asked, "--out", str(tmp_path / "o")]) == 0
    for route in ("text_image_text", "image_text_image"):
        lines = (tmp_path / f"o/consistency/{route}.jsonl").read_text().splitlines()
        assert len(lines) == 5 * 2
