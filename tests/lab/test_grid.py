"""Jobs as processes: none twice, none in another's way, none lost."""

import json
import os
import signal
import subprocess
import sys
import time

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

# A job that would take for ever, and tells when it is asked to end.
LONG = """
import pathlib, signal, sys, time
folder = pathlib.Path(sys.argv[1])
def leave(*_):
    (folder / "saved").touch()
    sys.exit(42)
signal.signal(signal.SIGTERM, leave)
(folder / "started").touch()
time.sleep(600)
"""


@pytest.fixture
def jobs():
    return made_jobs()


def made_jobs():
    given = {
        "base": "configs/shapes_stage2.py:tiny",
        "figures": ("train/loss",),
        "arms": {"one": {"total_steps": 1}, "two": {"total_steps": 2}},
        "seeds": (0, 1),
        "measure": {"tasks": ()},
    }
    return experiment_lib.load(ConfigDict(given)).jobs()


def long_grid(out):
    """What the test of signals runs as a process of its own."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # not as who runs the tests has it

    def command(job):
        return [sys.executable, "-c", LONG, str(job.folder(out))]

    grid.run(made_jobs(), out, command, workers=2)


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


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_what_stops_the_grid_stops_its_jobs(tmp_path, number):
    folder = f"pathlib.Path({str(tmp_path)!r})"
    code = f"import pathlib, test_grid; test_grid.long_grid({folder})"
    here = os.pathsep.join([os.path.dirname(__file__), *sys.path])
    started = subprocess.Popen(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": here}
    )
    deadline = time.monotonic() + 60
    while len(list(tmp_path.rglob("started"))) < 2:  # so that both are running
        assert time.monotonic() < deadline and started.poll() is None
        time.sleep(0.05)
    started.send_signal(number)
    assert started.wait(30) == 42
    assert len(list(tmp_path.rglob("saved"))) == 2
    assert len(list(tmp_path.rglob("started"))) == 2  # and no other one began


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


def test_arms_that_cannot_be_built_are_told_before_anything_runs(tmp_path):
    """All of them, each once however many seeds it has."""
    given = {
        "base": "configs/shapes_stage2.py:tiny",
        "figures": ("train/loss",),
        "arms": {
            "fine": {"total_steps": 1},
            "key": {"total_stepz": 2},
            "idea": {"objectives": {"semantik": {"stream": "generate"}}},
        },
        "seeds": (0, 1),
        "measure": {"tasks": ()},
    }
    jobs = experiment_lib.load(ConfigDict(given)).jobs()
    with pytest.raises(BridgeError) as told:
        grid.run(jobs, tmp_path, fake(tmp_path))
    said = str(told.value)
    assert said.count("key: ") == 1 and "did you mean 'total_steps'" in said
    assert said.count("idea: ") == 1 and "did you mean 'semantic'" in said
    assert sum(calls(jobs, tmp_path)) == 0


def test_time_is_told_without_an_evaluation(jobs, tmp_path):
    run = jobs[0].folder(tmp_path) / "run"
    run.mkdir(parents=True)
    seconds = {"seconds": {"init": 3.0, "step": 8.0, "data": 1.0}}
    (run / "goodput.json").write_text(json.dumps(seconds))
    found = cost.pace([(run.parent, 4.0)])
    assert (found.per_flop, found.besides) == (2.0, 4.0)
