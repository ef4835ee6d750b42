"""A checkpoint whose bytes changed is never read as if nothing had happened."""

import json
import shutil

import jax
import numpy as np
import pytest
import toy

from bridge_jax.checkpoint import manager, manifest
from bridge_jax.core.errors import BridgeError
from bridge_jax.train import loop

STEPS = 3


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("run")
    loop.train(toy.run(workdir, STEPS, checkpoint_every=1, keep=STEPS))
    return workdir


@pytest.fixture
def workdir(run, tmp_path):
    shutil.copytree(run, tmp_path / "copy")
    return tmp_path / "copy"


def files(step):
    listed = json.loads((step / manifest.MANIFEST).read_text())
    return [step / name for name in sorted(listed)]


def flip(file, rng):
    data = bytearray(file.read_bytes())
    data[rng.integers(len(data))] ^= 1 << rng.integers(8)
    file.write_bytes(data)


def same(a, b):
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(np.array_equal(x, y) for x, y in pairs)


def weights(workdir, step=None):
    found = manager.open_existing(workdir)
    try:
        return found.weights(step, ema=False)
    finally:
        found.close()


def test_every_file_with_arrays_is_listed(run):
    step = run / "checkpoints" / str(STEPS)
    written = {path for path in step.rglob("*") if path.is_file()}
    unlisted = {path.name for path in written - set(files(step))}
    assert unlisted <= {"commit_success.txt", "_CHECKPOINT_METADATA", "manifest.json"}
    assert len(files(step)) > 10 and manifest.problems(step) == []
    assert any("ocdbt.process_0" in str(path) for path in files(step))


def test_no_flipped_bit_is_silent(workdir):
    """Any one bit of any file, the manifest included, and the step is not read."""
    rng = np.random.default_rng(0)
    step = workdir / "checkpoints" / str(STEPS)
    targets = [path for path in files(step) if path.stat().st_size]
    silent, tried = [], 0
    for target in [*targets, *[step / manifest.MANIFEST] * 40]:
        whole = target.read_bytes()
        flip(target, rng)
        tried += 1
        if not manifest.problems(step):
            silent.append((target, whole, target.read_bytes()))
        target.write_bytes(whole)
    assert tried > 50 and not silent
    assert manifest.problems(step) == []


@pytest.mark.parametrize("harm", ["flipped", "cut", "emptied", "gone", "no manifest"])
def test_reading_falls_back_and_says_so(workdir, capsys, harm):
    wanted = weights(workdir, STEPS - 1)
    step = workdir / "checkpoints" / str(STEPS)
    target = max(files(step), key=lambda path: path.stat().st_size)
    match harm:
        case "flipped":
            flip(target, np.random.default_rng(1))
        case "cut":
            target.write_bytes(target.read_bytes()[:-1])
        case "emptied":
            target.write_bytes(b"")
        case "gone":
            target.unlink()
        case "no manifest":
            (step / manifest.MANIFEST).unlink()
    assert same(weights(workdir), wanted)
    told = "".join(capsys.readouterr())
    assert f"DAMAGED CHECKPOINT: step {STEPS}" in told, told
    assert f"falling back to step {STEPS - 1}" in told
    with pytest.raises(BridgeError, match=f"step {STEPS} .* is damaged.*1, 2"):
        weights(workdir, STEPS)


def test_resume_goes_on_from_the_newest_whole_step_to_the_same_bits(
    workdir, run, capsys
):
    step = workdir / "checkpoints" / str(STEPS)
    flip(
        max(files(step), key=lambda path: path.stat().st_size), np.random.default_rng(2)
    )
    loop.train(toy.run(workdir, STEPS, checkpoint_every=1, keep=STEPS, resume=True))
    assert f"resumed from step {STEPS - 1}" in "".join(capsys.readouterr())
    assert same(weights(workdir), weights(run))
    kept = workdir / "checkpoints" / f"{STEPS}.damaged"
    assert kept.is_dir() and manifest.problems(kept)
    assert manifest.problems(step) == []


def test_nothing_whole_is_an_error_that_names_all(workdir):
    for number in range(1, STEPS + 1):
        (workdir / "checkpoints" / str(number) / manifest.MANIFEST).unlink()
    with pytest.raises(
        BridgeError, match="no checkpoint is whole: step 3.*step 2.*step 1"
    ):
        weights(workdir)
    for number in range(1, STEPS + 1):
        assert (workdir / "checkpoints" / str(number) / "params").is_dir()
