"""`bridge evaluate --benchmark` with the shipped weights: two shards, then scored."""

import functools
import json

import pytest

import bridge_jax
from bridge_jax.cli import main
from bridge_jax.data import shapes_world

PROMPTS = shapes_world.geneval_prompts("test", 1)[:4]


@pytest.fixture(scope="module", autouse=True)
def loaded_once():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bridge_jax, "load", functools.cache(bridge_jax.load))
        yield


def figures(capfd):
    lines = capfd.readouterr().out.splitlines()
    return dict(line.split() for line in lines if line.startswith("geneval/"))


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with e.jsonl, and out, answered by two processes' worth of shards."""
    home = tmp_path_factory.mktemp("benchmark")
    text = "".join(json.dumps(prompt) + "\n" for prompt in PROMPTS)
    (home / "e.jsonl").write_text(text)
    for shard in ("0/2", "1/2"):
        assert bridge(home, "--only", "answer", "--shard", shard, "-n", "2") == 0
    return home


def bridge(home, *more):
    data = f"geneval={home / 'e.jsonl'}"
    return main.main(
        ["evaluate", "--benchmark", data, "--out", str(home / "out"), *more]
    )


def test_the_shipped_model_draws_what_is_asked(home, capfd, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("scoring needs no model")

    monkeypatch.setattr(bridge_jax, "load", refuse)
    capfd.readouterr()
    assert bridge(home, "--only", "score", "--scorer", "shapes") == 0
    found = figures(capfd)
    assert float(found["geneval/correct_prompts"]) >= 0.75
    assert {f"geneval/{prompt['tag']}" for prompt in PROMPTS} <= set(found)
    about = json.loads((home / "out" / "metrics.json").read_text())["settings"]
    options = about["benchmarks"]["geneval"]["options"]
    assert options["steps"] == 25 and options["condition"] == "queries"


def test_both_halves_at_once_do_what_is_missing(home, capfd):
    before = {p: p.stat().st_mtime_ns for p in (home / "out").rglob("*.png")}
    assert bridge(home, "--scorer", "shapes", "-n", "2") == 0
    assert "geneval/overall" in figures(capfd)
    assert {p: p.stat().st_mtime_ns for p in (home / "out").rglob("*.png")} == before
    assert bridge(home, "--scorer", "shapes", "-n", "3") == 2
    assert "images_per_prompt 2 and not 3" in capfd.readouterr().err


def test_answers_of_an_earlier_version_know_fewer_options(home, capfd):
    file = home / "out" / "geneval.json"
    about = json.loads(file.read_text())
    assert not about["options"].pop("think")
    file.write_text(json.dumps(about))
    assert bridge(home, "--scorer", "shapes", "-n", "2") == 0
    assert bridge(home, "--scorer", "shapes", "-n", "2", "--think") == 2
    assert "think False and not True" in capfd.readouterr().err
