"""`bridge ablate` from end to end: an idea from outside the package against a base."""

from pathlib import Path

import miniature
import pytest
from PIL import Image

from bridge_jax.eval import records

IDEA = '''"""Embeddings of text that lean one way."""
import dataclasses
import jax.numpy as jnp
from bridge_jax.core import term
from bridge_jax.objectives import base

@dataclasses.dataclass(frozen=True)
class Objective(base.Base):
    def __call__(self, view):
        text = view.embedding("text")
        return term.Term(jnp.sum(text[:, 0]), jnp.float32(len(text)))
'''
BASE = """from pathlib import Path
import miniature
NAMES = ("vlm", "projector", "aligner", "retrieval")
def get_config(variant=""):
    config = miniature.config("configs/shapes_stage2.py:tiny")
    config.model = {name: config.model[name] for name in NAMES}
    config.streams = {"retrieve": {"source": "shapes_retrieve", "batch": 8}}
    config.objectives = {"contrastive": {"weight": 1.0, "stream": "retrieve"}}
    config.aligner_init, config.optim.warmup_steps = "fresh", 0
    config.optim.trainable = (("retrieval/.*", True), (".*", False))
    config.log_every, config.total_steps, config.checkpoint_every = 1, 4, 2
    return miniature.started(config, Path("world/start"))
"""
EXPERIMENT = """from ml_collections import ConfigDict
def get_config(variant=""):
    return ConfigDict(dict(
        base="world/base.py",
        arms=dict(
            mine=dict(objectives=dict(
                mine=dict(name="my_ideas.lean", stream="retrieve", weight=3.0))),
        ),
        groups=dict(ideas=("baseline", "mine")),
        seeds=(0,),
        measure=dict(tasks=("retrieval",), split="test", limit=8),
        figures=("retrieval/t2i_r1", "train/contrastive"),
        curves=("contrastive", "mine"),
    ))
"""


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A folder of the user's own: an idea, a base and an experiment."""
    (tmp_path / "my_ideas").mkdir()
    (tmp_path / "my_ideas" / "lean.py").write_text(IDEA)
    (tmp_path / "world").mkdir()
    (tmp_path / "world" / "base.py").write_text(BASE)
    (tmp_path / "world" / "try.py").write_text(EXPERIMENT)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_an_idea_of_ones_own_is_ablated(world, bridge, monkeypatch):
    asked = ("ablate", "--config", "world/try.py", "--out", "runs")
    code, out, _ = bridge(*asked, "--dry-run")
    assert code == 0 and "To do: 2 jobs" in out and "| mine | 1 | 1 | 4 |" in out
    assert "The first job that is done here tells" in out
    assert not (world / "runs").exists()
    assert bridge(*asked, "--job", "baseline/seed_0")[0] == 0
    assert (world / "runs/baseline/seed_0/evaluation/metrics.json").is_file()
    code, out, _ = bridge(*asked, "--table")
    assert code == 0 and out.count("| 1 |") == 1 and "| mine |" not in out
    # The other one is a process of its own, which must find this world, too.
    tests = str(Path(miniature.__file__).parent)
    monkeypatch.setenv("PYTHONPATH", f"{world}:{tests}")
    code, out, err = bridge(*asked)
    assert code == 0, err + (world / "runs/mine/seed_0/log.txt").read_text()
    assert "1 of 2 jobs were done before" in out and "mine/seed_0: done" in out
    text = (world / "runs/table.md").read_text()
    assert text in out
    head, _, *rows = text.splitlines()
    assert head == "| arm | retrieval/t2i_r1 | train/contrastive | n |"
    assert [row.split(" | ")[0] for row in rows[:2]] == ["| baseline", "| mine"]
    assert all(row.endswith("| 1 |") for row in rows[:2])
    # What a seed brings is the same in both arms, and what the arm changes is not.
    logs = [
        records.read_lines(path / "run/metrics.jsonl")
        for path in (world / "runs/baseline/seed_0", world / "runs/mine/seed_0")
    ]
    first, last = ([log[at] for log in logs] for at in (0, -1))
    assert first[0]["contrastive"] == pytest.approx(first[1]["contrastive"], rel=1e-5)
    assert abs(last[0]["contrastive"] - last[1]["contrastive"]) > 1e-3
    assert "mine" in last[1] and "mine" not in last[0]
    page = (world / "runs/report.html").read_text()
    assert page.count("data:image/png") == 4  # two figures, two curves
    names = sorted(path.name for path in (world / "runs/plots").iterdir())
    assert names == [
        "ideas_contrastive.png",
        "ideas_mine.png",
        "ideas_retrieval_t2i_r1.png",
        "ideas_train_contrastive.png",
    ]
    for name in names:
        with Image.open(world / "runs/plots" / name) as plot:
            assert len(set(plot.convert("L").tobytes())) > 20, name
    code, out, _ = bridge(*asked, "--dry-run")
    assert "To do: 0 jobs" in out and "?" not in out
    code, out, _ = bridge("ablate", "compare", "runs/baseline", "runs/mine")
    assert code == 0 and "| train/contrastive | " in out and out.endswith("| 1 |\n")


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ((), "needs --config and --out"),
        (("compare", "a"), "takes the folders of two arms"),
        (("compare", "a", "b"), "a is no arm of an experiment"),
        (("--config", "configs/ablate_none.py", "--out", "x"), "no config file"),
        (("--config", "world/try.py", "--out", "x", "--job", "mine/seed_7"), "no job"),
        (("--config", "world/try.py", "--out", "x", "--shard", "2/2"), "0 <= I < N"),
        (("--config", "world/try.py", "--out", "x", "--table"), "no job of this"),
        (("--config", "world/base.py", "--out", "x"), "unknown key experiment.model"),
    ],
)
def test_mistakes(argv, words, world, refused):
    assert words in refused("ablate", *argv)
    assert not (world / "x").exists()
