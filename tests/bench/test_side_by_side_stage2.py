"""Stage 2's step and retrieval's embeddings: ours and torch's agree before a race."""

import dataclasses

import pytest

from bridge_jax.bench.side_by_side import case, race
from bridge_jax.bench.side_by_side.cases import qwen2_vl, retrieval, stage2

pytestmark = pytest.mark.parity
torch = pytest.importorskip("torch", reason="torch is a test-only oracle")
pytest.importorskip("transformers")


@pytest.fixture(scope="module", autouse=True)
def small():
    """Fewer layers and rows, and shorter captions, than are timed."""
    with pytest.MonkeyPatch.context() as patch:
        for table, fewer in (
            (qwen2_vl.SIZES, {"layers": 2}),
            (stage2._MT5, {"layers": 1}),
            (stage2._ALIGNERS, {"layers": 2, "cross_layers": (1,)}),
        ):
            config = dataclasses.replace(table["tiny"], **fewer)
            patch.setitem(table, "tiny", config)
        patch.setattr(stage2, "ROWS", 3)
        patch.setattr(stage2, "NEW", 8)
        patch.setattr(retrieval, "ROWS", {"image": 2, "text": 3})
        yield


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    return case.Task("tiny", tmp_path_factory.mktemp("sides"))


@pytest.fixture(scope="module")
def stepped(task):
    return told("stage2/step", "torch", task, runs=2)


def told(name, side, task, runs):
    """What a side tells of so many runs."""
    made = case.make(name, side, task)
    return [made.told(made.run()) for _ in range(runs)]


def error(ours, theirs):
    """As a race finds it."""
    assert ours.keys() == theirs.keys()
    return max(race.difference(ours[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize("work", ["step", "step_cached"])
def test_two_steps_agree(task, stepped, work):
    found = told(f"stage2/{work}", "ours", task, runs=2)
    tolerance = stage2.CASES[work].tolerance
    for ours, theirs in zip(found, stepped, strict=True):
        assert error(ours, theirs) < tolerance
    # The first update shows: a step that trained nothing would not agree.
    assert error(found[1], stepped[0]) > tolerance


def test_two_steps_agree_in_half_precision(tmp_path):
    """Their captions, too: words stand out, so that none score alike."""
    task = case.Task("tiny", tmp_path, dtype="bfloat16")
    stepped = told("stage2/step", "torch", task, runs=2)
    found = told("stage2/step", "ours", task, runs=2)
    tolerance = stage2.CASES["step"].tolerance * case.COARSER["bfloat16"]
    for ours, theirs in zip(found, stepped, strict=True):
        assert error(ours, theirs) < tolerance
    words = stage2.omnibridge(task).get_input_embeddings().weight.float()
    usual = stage2.omnibridge(dataclasses.replace(task, dtype="float32"))
    quiet = usual.get_input_embeddings().weight
    louder = float((words.std() / quiet.std()).detach())
    assert louder == pytest.approx(stage2._LOUDER, rel=0.05)


def test_states_of_other_tokens_do_not_agree(task, stepped, monkeypatch):
    retold = stage2._retold("tiny", stepped[0]["captions"])
    monkeypatch.setattr(stage2, "_retold", lambda size, tokens: retold)
    monkeypatch.setattr(stage2, "_caption", lambda: slice(0, stage2.NEW - 3))
    found = told("stage2/step", "ours", task, runs=1)
    assert error(found[0], stepped[0]) > stage2.CASES["step"].tolerance


@pytest.mark.usefixtures("stepped")
@pytest.mark.parametrize("work", list(retrieval.CASES))
def test_embeddings_agree(task, work):
    name = f"retrieval/{work}"
    (theirs,), (ours,) = (told(name, side, task, 1) for side in ("torch", "ours"))
    assert error(ours, theirs) < retrieval.CASES[work].tolerance
    rows = {"out": theirs["out"][::-1]}  # each row is another
    assert error(ours, rows) > retrieval.CASES[work].tolerance
