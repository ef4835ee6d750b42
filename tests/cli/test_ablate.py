"""`bridge ablate` from end to end: an idea from outside the package against a base."""

import json
import shutil
from pathlib import Path

import miniature
import pytest
from PIL import Image

from bridge_jax.lab import job as job_lib

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
BASE = """import miniature
NAMES = ("vlm", "projector", "aligner", "retrieval")
def get_config(variant=""):
    config = miniature.config("configs/shapes_stage2.py:tiny")
    config.model = {name: config.model[name] for name in NAMES}
    config.streams = {"retrieve": {"source": "shapes_retrieve", "batch": 4}}
    config.objectives = {"contrastive": {"weight": 1.0, "stream": "retrieve"}}
    config.optim.warmup_steps = 0
    config.log_every, config.total_steps, config.checkpoint_every = 1, 4, 2
    return config
"""
EXPERIMENT = """from ml_collections import ConfigDict
def get_config(variant=""):
    return ConfigDict(dict(
        base="world/base.py",
        arms=dict(
            mine=dict(objectives=dict(
                mine=dict(name="my_ideas.lean", stream="retrieve", weight=3.0))),
            slow=dict(replacement=dict(start=(0.0, 0.5), finish=3)),
        ),
        groups=dict(ideas=("baseline", "mine", "slow")),
        seeds=(0, 1),
        measure=dict(tasks=("retrieval",), split="test", limit=8),
        figures=("retrieval/t2i_r1", "train/contrastive"),
        curves=("contrastive", "mine"),
    ))
"""
ARMS = ("baseline", "mine", "slow")


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


@pytest.fixture
def here(monkeypatch):
    """Jobs run in this process: what they do is the same, and starts at once."""
    done = []

    def run(jobs, out, command, workers=1):
        left = [job for job in jobs if not job_lib.is_done(job, out)]
        for job in left:
            line = command(job)
            assert line[line.index("--job") + 1] == job.name
            job_lib.run(job, out)
        done.append([job.name for job in left])

    monkeypatch.setattr("bridge_jax.lab.grid.run", run)
    return done


def test_an_idea_of_ones_own_is_ablated(world, here, bridge):
    asked = ("ablate", "--config", "world/try.py", "--out", "runs")
    code, out, _ = bridge(*asked, "--dry-run")
    assert code == 0 and "To do: 6 jobs" in out and "| mine | 2 | 2 | 4 |" in out
    assert (
        "The first job that is done here tells" in out and not (world / "runs").exists()
    )
    assert bridge(*asked, "--job", "mine/seed_1")[0] == 0
    assert (world / "runs/mine/seed_1/evaluation/metrics.json").is_file()
    code, out, _ = bridge(*asked, "--shard", "0/2")
    assert (code, out) == (0, "") and here == [["baseline/seed_0", "slow/seed_0"]]
    code, out, _ = bridge(*asked)
    assert code == 0 and here[-1] == ["mine/seed_0", "baseline/seed_1", "slow/seed_1"]
    head, _, *rows = out.splitlines()
    assert head == "| arm | retrieval/t2i_r1 | train/contrastive | n |"
    assert [row.split(" | ")[0] for row in rows[:3]] == [f"| {arm}" for arm in ARMS]
    assert all(row.endswith("| 2 |") for row in rows[:3])
    assert (world / "runs/table.md").read_text() in out + "\n"
    # What a seed brings is the same in every arm, and what the arm changes is not.
    first = {
        arm: json.loads(
            (world / f"runs/{arm}/seed_0/run/metrics.jsonl").read_text().splitlines()[0]
        )
        for arm in ARMS
    }
    assert first["baseline"]["contrastive"] == first["mine"]["contrastive"]
    assert first["baseline"] | {"seconds": 0} != first["mine"] | {"seconds": 0}
    assert "mine" in first["mine"] and "mine" not in first["baseline"]
    page = (world / "runs/report.html").read_text()
    assert page.count("data:image/png") == 5  # schedule, two figures, two curves
    names = sorted(path.name for path in (world / "runs/plots").iterdir())
    assert names == [
        "ideas_contrastive.png",
        "ideas_mine.png",
        "ideas_retrieval_t2i_r1.png",
        "ideas_schedule.png",
        "ideas_train_contrastive.png",
    ]
    for name in names:
        with Image.open(world / "runs/plots" / name) as plot:
            assert len(set(plot.convert("L").getdata())) > 20, name
    code, out, _ = bridge(*asked, "--dry-run")
    assert "To do: 0 jobs" in out and "?" not in out
    code, out, _ = bridge("ablate", "compare", "runs/baseline", "runs/mine")
    assert code == 0 and "| train/contrastive | " in out and out.endswith("| 2 |\n")
    # A job that lost its weights goes on from its checkpoint; the others are done.
    shutil.rmtree(world / "runs/slow/seed_1/run/weights")
    assert bridge(*asked)[0] == 0 and here[-1] == ["slow/seed_1"]


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ((), "needs --config and --out"),
        (("compare", "a"), "takes the folders of two arms"),
        (("compare", "a", "b"), "a is no arm of an experiment"),
        (("--config", "configs/ablate_none.py", "--out", "x"), "no config file"),
        (("--config", "world/try.py", "--out", "x", "--job", "mine/seed_7"), "no job"),
        (("--config", "world/try.py", "--out", "x", "--shard", "2/2"), "I below N"),
        (("--config", "world/base.py", "--out", "x"), "unknown key experiment.model"),
    ],
)
def test_mistakes(argv, words, world, refused):
    assert words in refused("ablate", *argv)
    assert not (world / "x").exists()


def test_a_process_of_its_own(world, monkeypatch, bridge):
    """The real thing, once: a job by its command line, in another process."""
    tests = str(Path(miniature.__file__).parent)
    monkeypatch.setenv("PYTHONPATH", f"{world}:{tests}")
    text = EXPERIMENT.replace("seeds=(0, 1)", "seeds=(0,)")
    start = text.index("        arms="), text.index("        seeds=")
    (world / "world" / "one.py").write_text(text[: start[0]] + text[start[1] :])
    code, out, err = bridge("ablate", "--config", "world/one.py", "--out", "runs")
    assert code == 0, err + (world / "runs/baseline/seed_0/log.txt").read_text()
    assert "| baseline | " in out and "report.html" in out
