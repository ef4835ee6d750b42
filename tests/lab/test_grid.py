"""Jobs as processes: none twice, none in another's way, none lost."""

import json
import sys

import pytest
from ml_collections import ConfigDict

from bridge_jax.core.errors import BridgeError
from bridge_jax.lab import cost, grid
from bridge_jax.lab import experiment as experiment_lib
from bridge_jax.lab import job as job_lib
from bridge_jax.train import recipe

# What a job leaves behind, in as few words as a process needs.
FAKE = """
import json, os, pathlib, sys
folder = pathlib.Path(sys.argv[1])
with open(folder / "calls", "a") as calls:
    calls.write(str(sorted(os.sched_getaffinity(0))) + chr(10))
if sys.argv[2] == "fails":
    sys.exit("no luck: " + folder.name)
weights = folder / "run" / "weights"
weights.mkdir(parents=True, exist_ok=True)
(weights / "config.json").write_text("{}")
"""


@pytest.fixture
def jobs():
    given = {
        "base": "configs/shapes_stage2.py:tiny",
        "figures": ("train/loss",),
        "arms": {"one": {"total_steps": 1}, "two": {"total_steps": 2}},
        "seeds": (0, 1),
        "measure": {"tasks": ()},
    }
    return experiment_lib.load(ConfigDict(given)).jobs()


def fake(out, failing=()):
    def command(job):
        fate = "fails" if job.name in failing else "works"
        return [sys.executable, "-c", FAKE, str(job.folder(out)), fate]

    return command


def calls(jobs, out):
    files = [job.folder(out) / "calls" for job in jobs]
    return [len(f.read_text().splitlines()) if f.is_file() else 0 for f in files]


@pytest.mark.parametrize("workers", [1, 3])
def test_what_failed_is_told_and_alone_done_again(jobs, tmp_path, workers):
    failing = {"one/seed_0", "two/seed_1"}
    with pytest.raises(BridgeError) as told:
        grid.run(jobs, tmp_path, fake(tmp_path, failing), workers)
    assert str(told.value).startswith("2 of 6 jobs failed: one/seed_0 (exit 1: no luck")
    assert calls(jobs, tmp_path) == [1] * 6  # the others ran all the same
    done = [job_lib.is_done(job, tmp_path) for job in jobs]
    assert done == [job.name not in failing for job in jobs]
    grid.run(jobs, tmp_path, fake(tmp_path), workers)
    assert all(job_lib.is_done(job, tmp_path) for job in jobs)
    assert calls(jobs, tmp_path) == [2 if j.name in failing else 1 for j in jobs]
    grid.run(jobs, tmp_path, fake(tmp_path, jobs), workers)
    assert sum(calls(jobs, tmp_path)) == 8


def test_workers_share_the_cores(jobs, tmp_path, monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2, 3})
    given = []
    monkeypatch.setattr("os.sched_setaffinity", lambda _, cores: given.append(cores))
    grid.run(jobs, tmp_path, fake(tmp_path), workers=2)
    assert sorted(map(sorted, given)) in ([[0, 2], [1, 3]], [[0, 2]], [[1, 3]])
    assert grid.shares([5], 2) == [{5}, {5}]
    assert grid.shares([0, 1, 2], 2) == [{0, 2}, {1}]


def test_another_configs_run_is_left_alone(jobs, tmp_path):
    """Refused before anything runs."""
    old = tmp_path / "two" / "seed_1" / "run"
    old.mkdir(parents=True)
    text = jobs[-1].config().to_json_best_effort()
    changed = json.loads(text) | {"total_steps": 77}
    (old / "config.json").write_text(json.dumps(changed))
    with pytest.raises(BridgeError, match="total_steps was 77 and is 2.*another --out"):
        grid.run(jobs, tmp_path, fake(tmp_path))
    assert sum(calls(jobs, tmp_path)) == 0
    assert not (old / recipe.WEIGHTS).exists()


def test_time_is_told_without_an_evaluation(jobs, tmp_path):
    run = jobs[0].folder(tmp_path) / "run"
    run.mkdir(parents=True)
    seconds = {"seconds": {"init": 3.0, "step": 8.0, "data": 1.0}}
    (run / "goodput.json").write_text(json.dumps(seconds))
    found = cost.pace([(run.parent, 4.0)])
    assert (found.per_flop, found.besides) == (2.0, 4.0)
