"""The quickstart's way, on models that need no weights: order, files, going on."""

import json

import numpy as np
import oracle
import pytest

import bridge_jax
from bridge_jax.checkpoint import weights_file
from bridge_jax.cli import sample_pictures, tour
from bridge_jax.core.errors import BridgeError

UNTRAINED = {"part": {"kernel": np.full(6, 7.0, np.float32)}}
TRAINED = {"part": {"kernel": np.full(6, 8.0, np.float32)}}


class Shipped(oracle.Oracle):
    """Knows everything; with the untrained weights, nothing."""

    def with_params(self, params):
        untrained = params is UNTRAINED
        model = oracle.Noise() if untrained else Shipped()
        model.params = params
        return model


@pytest.fixture
def runs(monkeypatch):
    """The training runs that were started: (config, workdir, resume, hooks)."""
    started = []

    def train(config, workdir, resume, hooks):
        started.append((config, workdir, resume, hooks))
        weights_file.save(workdir / "weights", TRAINED, {})
        windows = ({"step": s, "loss": 1 / s, "seconds": 1.0} for s in (2, 4))
        lines = "".join(json.dumps(window) + "\n" for window in windows)
        (workdir / "metrics.jsonl").write_text(lines)

    monkeypatch.setattr(bridge_jax, "load", lambda name: Shipped())
    monkeypatch.setattr(tour.stage1, "run", train)
    monkeypatch.setattr(tour.stage2, "run", train)
    monkeypatch.setattr(tour, "_untrained", lambda *configs: UNTRAINED)
    monkeypatch.setattr(tour, "_scanned", lambda model, parts: model)
    monkeypatch.setattr(
        sample_pictures, "hook", lambda *given, **more: (given[1:], more)
    )
    return started


def test_the_whole_way(runs, tmp_path, capfd):
    metrics = tour.run(tmp_path, tour.TINY)
    assert [workdir.name for _, workdir, _, _ in runs] == ["stage1", "stage2"]
    assert {resume for _, _, resume, _ in runs} == {"auto"}
    [(where, choices)] = runs[1][3]
    assert where == (tmp_path / "stage2" / "pictures",) and choices["steps"] == 2
    for name, score in (("untrained", 0.0), ("trained", 1.0), ("shipped", 1.0)):
        for key in ("vqa/exact_match", "generation/queries/mean", "retrieval/t2i_r1"):
            assert metrics[f"{name}/{key}"] == score
    assert json.loads((tmp_path / "metrics.json").read_text()) == metrics
    page = (tmp_path / "report.html").read_text()
    assert "Training, stage 1" in page and "Training, stage 2" in page
    assert (tmp_path / "first_look.png").is_file()
    said = capfd.readouterr().out
    assert "loss 0.5 -> 0.25" in said and "questions answered" in said


def test_stage_two_starts_from_stage_one(tmp_path):
    _, second = tour._configs(tour.LIVE, tmp_path)
    sources = second.init_from.to_dict()
    assert sources.pop("vlm") == f"{tmp_path / 'stage1' / 'weights'}:vlm"
    assert {"mt5", "bert", "dit", "vae"} <= sources.keys()
    assert not any(part.startswith("vlm/") for part in sources)
    assert 0 < second.pictures_every < second.total_steps


def scanned(parts):
    return {name for name, part in parts.items() if part.get("scan")}


def test_what_a_plan_scans_is_scanned_in_training_and_where_it_is_shown(tmp_path):
    first, second = tour._configs(tour.TINY, tmp_path)
    assert scanned(first.model) == {"vlm"}
    assert scanned(second.model) == set(tour.TINY.scan)
    assert not any(scanned(c.model) for c in tour._configs(tour.LIVE, tmp_path))
    shipped = bridge_jax.load(tour.TINY.model)
    shown = tour._scanned(shipped, tour.TINY.scan)
    assert scanned(shown.engine.bundle.description()) == set(tour.TINY.scan)
    assert not scanned(shipped.engine.bundle.description())
    assert shown.params is shipped.params


def test_a_second_run_does_what_is_left(runs, tmp_path, monkeypatch):
    first = tour.run(tmp_path, tour.TINY)
    (tmp_path / "report.html").unlink()
    for task in ("chat", "generate", "edit", "embed"):
        monkeypatch.delattr(oracle.Oracle, task)
        monkeypatch.delattr(oracle.Noise, task, raising=False)
    assert tour.run(tmp_path, tour.TINY) == first
    assert len(runs) == 2 and (tmp_path / "report.html").is_file()


def test_untrained_starts_from_what_both_stages_start_from(monkeypatch, tmp_path):
    seen = []

    class Recipe:
        def fresh_params(self):
            return "fresh"

    monkeypatch.setattr(
        tour.recipe_lib, "make", lambda config: seen.append(config) or Recipe()
    )
    first, second = tour._configs(tour.LIVE, tmp_path)
    assert tour._untrained(first, second) == "fresh"
    sources = seen[0].init_from.to_dict()
    vlm = {p: s for p, s in sources.items() if p.split("/")[0] == "vlm"}
    assert vlm == first.init_from.to_dict()
    assert {"mt5", "bert", "dit", "vae"} <= sources.keys()
    assert not any("stage1" in source for source in sources.values())


def test_without_the_shipped_model(monkeypatch, tmp_path):
    monkeypatch.setattr("bridge_jax.checkpoint.locate.PRESETS", tmp_path / "none")
    with pytest.raises(BridgeError, match="shapes-tiny"):
        tour.run(tmp_path / "work", tour.TINY)
    assert not (tmp_path / "work" / "stage1").exists()
