"""Some of the long set: what each kind of fault does, seen once or twice.

`bash launch/faults.sh` runs all of it; RESULTS.md is what that found.
"""

import importlib
import sys
from pathlib import Path

import afflictions
import pytest

sys.path.insert(0, str(Path(__file__).with_name("long")))

SAMPLE = {
    "kills": (
        *(
            f"kill -9 at a named place of a save, 1 process: {point} 0"
            for point in afflictions.SAVING
        ),
        "kill -9 at a named place of a save, 4 processes: arrays 1",
        "kill -9 at a random moment, 1 process: 0",
    ),
    "terms": ("SIGTERM, 1 process: arrays 0", "SIGTERM, 1 process: start 0"),
    "hosts": ("one of 4 processes lost, by phase: step 3",),
    "meshes": ("saved on one mesh, restored on another: fsdp 8 to tensor 2",),
    "corruptions": tuple(
        f"a file of the newest checkpoint {kind}: {kind} 1"
        for kind in ("bit flipped", "cut", "zeroed", "missing")
    ),
    "storage": tuple(
        f"storage that fails while a run writes: {fault}"
        for fault in (
            "full after 4, 1 process",
            "full for one of 4 processes",
            "read-only checkpoints, 1 process",
            "no more open files",
        )
    ),
    "losses": (
        "NaN, Inf or a spike, 4 processes: nan 1",
        "NaN, Inf or a spike, 4 processes: spike 2",
        "NaN in a row until the run goes back, 1 process: 1",
    ),
}


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    """Where runs are that nothing befalls: each is made once."""
    return tmp_path_factory.mktemp("trials")


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind in SAMPLE for name in SAMPLE[kind]]
)
def test_a_fault_strikes_and_changes_nothing(kind, name, workdir):
    found = importlib.import_module(kind).all_trials()
    [trial] = [one for one in found if f"{one.group}: {one.name}" == name]
    folder = workdir / name.replace(" ", "_")
    folder.mkdir()
    outcome = trial.run(folder / "run")
    assert outcome.struck and outcome.exact, outcome.note
