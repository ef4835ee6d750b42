"""Several processes are one run: the same losses, one checkpoint, one verdict."""

import json
import re
import shutil
import signal
import time

import miniature
import processes
import pytest

from bridge_jax.checkpoint import hashed_arrays, manifest

STEPS = 6
# Stage 2's loss that compares rows with each other; others would only take longer.
RETRIEVAL = "configs/stage2_retrieval_7b.py:tiny"
COMPARED = ("loss", "fit", "size", "gradient_norm", "learning_rate")


@pytest.fixture(scope="module")
def four(tmp_path_factory):
    """(work directory, losses) of four processes with two devices each."""
    workdir = tmp_path_factory.mktemp("four") / "run"
    return workdir, processes.run(workdir, 4, 2, STEPS)[0]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Losses of one process with eight devices, twice as long."""
    workdir = tmp_path_factory.mktemp("one") / "run"
    return processes.run(workdir, 1, 8, 2 * STEPS)[0]


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """What stage 2 starts from: no process has to compile an initialiser."""
    folder = tmp_path_factory.mktemp("start")
    miniature.saved(miniature.config(RETRIEVAL), folder)
    return str(folder)


@pytest.fixture(scope="module")
def one_device(tmp_path_factory, start):
    """Losses of stage 2's first step on one device."""
    workdir = tmp_path_factory.mktemp("single") / "run"
    return processes.run(workdir, 1, 1, 1, start=start, config=RETRIEVAL)[0]


def same_losses(losses, alone):
    for step, figures in losses.items():
        for name in COMPARED:
            wanted = pytest.approx(alone[step][name], rel=1e-6, abs=1e-7)
            assert figures[name] == wanted, (step, name)


def test_four_processes_are_one(four, alone):
    _, losses = four
    assert losses.keys() == set(range(1, STEPS + 1))
    same_losses(losses, alone)


def test_two_then_one_then_four_processes_go_on(four, alone, tmp_path):
    """Another batch, or a row read twice, would be another loss."""
    workdir = tmp_path / "run"
    shutil.copytree(four[0], workdir)
    at = STEPS
    for count in (2, 1, 4):
        losses, _ = processes.run(workdir, count, 8 // count, at + 2, resume=True)
        assert losses.keys() == {at + 1, at + 2}
        same_losses(losses, alone)
        at += 2


def test_sigterm_of_one_is_saved_by_all_at_one_step(alone, tmp_path):
    workdir = tmp_path / "run"
    # With arrays written whole, the second process has none to write.
    whole = {"smallest_part": hashed_arrays.SMALLEST_PART}
    started = processes.launch(workdir, 2, 4, 100, ills={"pause": 0.3}, **whole)
    steps = workdir / "checkpoints"
    deadline = time.monotonic() + 120
    while not (steps / "2").is_dir():  # so that it comes in the middle of the run
        assert time.monotonic() < deadline
        time.sleep(0.1)
    started[1].send(signal.SIGTERM)
    began = time.monotonic()
    ended = processes.finish(started, 60)
    assert time.monotonic() - began < 30
    assert [code for code, _ in ended] == [42, 42], ended[1][1][-600:]
    [saved] = re.findall(r"interrupted: step (\d+) is saved", ended[0][1])
    assert 2 <= int(saved) < 100 and (steps / saved).is_dir()
    assert manifest.problems(steps / saved) == []
    at = int(saved)
    listed = json.loads((steps / saved / manifest.MANIFEST).read_text())
    assert not any("ocdbt.process_1/" in name for name in listed)
    losses, _ = processes.run(workdir, 2, 4, at + 1, resume=True, **whole)
    assert losses.keys() == {at + 1}
    if at + 1 in alone:
        same_losses(losses, alone)


def test_a_used_directory_is_refused_by_all(four):
    ended = processes.finish(processes.launch(four[0], 4, 2, STEPS))
    assert all(code != 0 and "already holds a run" in text for code, text in ended)


def test_each_process_hashes_its_own_files(four):
    step = four[0] / "checkpoints" / str(STEPS)
    listed = json.loads((step / manifest.MANIFEST).read_text())
    for process in range(4):
        assert any(f"ocdbt.process_{process}/" in name for name in listed), process
        assert any(f"process_{process}-of-4.json" in name for name in listed), process
    assert manifest.problems(step) == []
    shares = [manifest.problems(step, share, 4) for share in range(4)]
    assert shares == [[]] * 4


def test_a_bit_of_the_last_process_is_everybodys_damage(four, tmp_path):
    """Only one process reads the file, and all fall back to the same step."""
    workdir = tmp_path / "run"
    shutil.copytree(four[0], workdir)
    step = workdir / "checkpoints" / str(STEPS)
    target = max(
        step.rglob("ocdbt.process_3/d/*"), key=lambda path: path.stat().st_size
    )
    data = bytearray(target.read_bytes())
    data[len(data) // 2] ^= 1
    target.write_bytes(data)
    losses, said = processes.run(workdir, 4, 2, STEPS, resume=True)
    assert losses.keys() == {STEPS - 1, STEPS}
    assert f"DAMAGED CHECKPOINT: step {STEPS}" in said
    for step, figures in losses.items():
        for name in COMPARED:
            assert figures[name] == four[1][step][name], (step, name)  # to the bit
    assert (workdir / "checkpoints" / f"{STEPS}.damaged").is_dir()


def test_the_losses_of_a_global_batch_are_those_of_one_device(
    one_device, start, tmp_path
):
    """The contrastive one compares all rows with all others, wherever they are.

    Eight devices of one process are tests/e2e's.
    """
    job = {"start": start, "config": RETRIEVAL}
    losses, _ = processes.run(tmp_path / "run", 2, 4, 1, **job)
    names = [name for name in one_device[1] if name.split("/")[0] == "contrastive"]
    assert names
    for name in names:
        wanted = pytest.approx(one_device[1][name], rel=1e-6, abs=1e-7)
        assert losses[1][name] == wanted, name
