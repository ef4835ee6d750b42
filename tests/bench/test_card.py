"""One card: works at tiny sizes, figures by hand, and a table that judges fairly."""

import contextlib
import dataclasses
import io
import json
import types

import jax
import miniature
import numpy as np
import pytest

from bridge_jax.bench.card import (
    ceilings,
    decoding,
    embedding,
    kernels,
    process,
    result,
    suite,
    table,
    timing,
    training,
    works,
)
from bridge_jax.cli import main, resolve
from bridge_jax.core.errors import BridgeError

STAGE1 = "configs/stage1_omnibridge_7b.py:tiny"
STAGE2 = "configs/stage2_omnibridge_7b.py:tiny"
DIT = "configs/pretrain_dit_g.py"


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(timing, "ROUND", 1e-3)
    monkeypatch.setattr(ceilings, "ROUNDS", 1)


def told(spec, *changes):
    """A config of the smallest parts as a process reads it."""
    return json.loads(miniature.config(spec, *changes).to_json())


def test_a_step_is_trained_and_its_arithmetic_counted():
    config = told(STAGE1, "--config.mesh.data=1", "--config.mesh.fsdp=-1")
    found = training.measure(config, 2)
    assert found.told["last_loss"] < found.told["first_loss"]
    assert found.items == 8
    # Three passes over the language model's products at least: 8 rows of tokens.
    stream = config["streams"]["main"]
    weights = 2 * (32 * (32 * 2 + 2 * 16) + 3 * 32 * 48)
    assert found.flops > 3 * 2 * weights * 8 * stream.get("length", 144)
    assert len(found.seconds) == 2


def test_steps_that_are_skipped_are_no_result(monkeypatch):
    class Skipping:
        traces, count, optimizer, compile = 1, 0, None, print

        def __call__(self, state, batch):
            figures = {"loss": (np.float32(0), 1.0), "skipped": (np.float32(1), 1.0)}
            return state, figures

    shapes = types.SimpleNamespace(params={})
    made = Skipping(), shapes, None
    monkeypatch.setattr(training.abstract, "training", lambda recipe: made)
    monkeypatch.setattr(training.state, "create", lambda *given: None)
    with pytest.raises(BridgeError, match=r"(\d+) of \1 steps were skipped"):
        training.measure(told(STAGE1), 1)


def test_a_turn_reads_the_weights_that_it_needs_and_what_it_remembers():
    vlm = told(STAGE1)["model"]["vlm"]
    vlm |= {"tied_embeddings": False, "layers": 2}
    found = decoding.measure({"vlm": vlm}, 2, 1)
    width, layers, ffn, heads, shared, head = 32, 2, 48, 2, 1, 16
    inner = heads * head
    block = 2 * width * inner + 2 * width * shared * head + 3 * width * ffn
    block += inner + 2 * shared * head + 2 * width  # biases, norms
    weights = 2 * (layers * block + width + 576 * width)
    remembered = 2 * 2 * layers * shared * head * 2
    remembered *= decoding.PROMPT + (decoding.FEW + decoding.SLOTS) / 2
    assert found.bytes == weights + remembered


def test_a_table_that_is_the_head_too_is_read():
    shapes = {
        "vlm": {
            "vision": {"kernel": np.ones(7)},
            "llm": {"embed_tokens": {"embedding": np.ones(5)}, "norm": np.ones(3)},
        }
    }
    for tied, numbers in ((True, 8), (False, 3)):
        config = types.SimpleNamespace(tied_embeddings=tied)
        assert decoding._weights(shapes, config) == 8 * numbers


def test_vectors_have_length_1():
    found = embedding.measure(told(STAGE2), "text", 1)
    assert found.items == 8
    assert found.flops > 0


def test_ceilings_are_of_random_numbers():
    found = ceilings.measure(sides=(32, 64), gigabytes=1e-3)
    assert set(found) == {"flops", "memory"}
    assert all(value > 0 for value in found.values())


def test_kernels_that_are_off_are_no_card_to_measure_on(monkeypatch):
    monkeypatch.setattr(kernels, "SHAPES", {"causal": (4, 2, 24, 24, 8)})
    assert kernels.errors()["causal"] < kernels.LARGEST
    real = kernels.packed.attend

    def off(q, *others, kernel, **how):
        out = real(q, *others, kernel=kernel, **how)
        return out * 1.1 if kernel == "auto" else out

    monkeypatch.setattr(kernels.packed, "attend", off)
    with pytest.raises(ArithmeticError, match="causal"):
        kernels.errors()


def test_rounds_wait_for_what_they_time():
    runs = []

    def run():
        runs.append(1)
        return jax.numpy.ones(())

    assert len(timing.rounds(run, 3)) == 3
    assert len(runs) >= timing.WARM_UP + 3


def measured(**changes):
    base = dict(
        seconds=(2.0, 1.0, 3.0), compile=5.0, flops=1e15, bytes=0.0, items=4, peak=None
    )
    return result.Measured(**base | changes)


def test_shares_are_of_the_ceiling_that_limits():
    over = {"flops": 1e15, "memory": 1e12}
    assert measured().share(over) == 0.5
    assert measured(bytes=1e12, flops=0.0).share(over) == 0.5


@pytest.fixture
def few(monkeypatch):
    """Two works and the ceilings, without processes."""
    made = {
        "quick": works.Work(training.measure, STAGE1, (), "sample", 0.4),
        "slow": works.Work(training.measure, STAGE1, (), "sample", 0.6),
    }
    monkeypatch.setattr(works, "WORKS", made)
    asked = []

    @contextlib.contextmanager
    def started(name, command, environment):
        assert command[-2:] == [name, "5"]
        yield Answers(name, asked)
        asked.append(("end", name))

    monkeypatch.setattr(suite.piped, "started", started)
    return asked


class Answers:
    """A process that never was. The work "broken" fails."""

    def __init__(self, name, asked):
        self.name, self.asked = name, asked

    def ask(self, line):
        if self.name == "broken":
            raise BridgeError("the process of broken stopped: see above")
        self.asked.append(("measure", self.name))
        if self.name == process.CEILINGS:
            return {"device": "card", "flops": 1e15, "memory": 1e12, "errors": {}}
        return dataclasses.asdict(measured())


def test_what_is_known_is_not_measured_again(few, tmp_path, capsys):
    file = tmp_path / "card.json"
    given = ["bench", "card", "--json", str(file), "--cases"]
    assert main.main([*given, "quick"]) == 0
    assert main.main([*given, "quick", "slow"]) == 0
    assert [name for what, name in few if what == "measure"] == [
        "ceilings",
        "quick",
        "slow",
    ]
    out = capsys.readouterr().out
    assert "Short of what is wanted: `slow` 50% of 60%." in out
    assert "| `quick` | **50.0%** (33.3% to 100.0%) | 40% | 2,000 |" in out
    assert json.loads(file.read_text())["slow"]["date"]


def test_with_other_changes_it_is_measured_again(few, tmp_path):
    file = tmp_path / "card.json"
    config = types.SimpleNamespace(to_json=lambda: "{}")
    for changes in ((), ("--config.a=1",), ("--config.a=1",)):
        report = suite.run({"quick": config}, changes, file)
        assert report["quick"]["changes"] == list(changes)
    found = [name for what, name in few if what == "measure"]
    assert found == ["ceilings", "quick", "quick"]


def test_each_has_the_card_to_itself(few):
    config = types.SimpleNamespace(to_json=lambda: "{}")
    suite.run({"quick": config, "slow": config})
    names = ("ceilings", "quick", "slow")
    assert few == [(what, name) for name in names for what in ("measure", "end")]


def test_one_that_fails_takes_no_other_along(few, tmp_path):
    file = tmp_path / "card.json"
    config = types.SimpleNamespace(to_json=lambda: "{}")
    with pytest.raises(BridgeError, match="^broken failed, as told above"):
        suite.run({"broken": config, "slow": config}, file=file)
    assert set(json.loads(file.read_text())) == {"ceilings", "slow"}


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (["--cases", "stage1_3b"], "no work stage1_3b: there are stage1_2b,"),
        (["--cases", "dit_g", "--config.model.dti.scan=True"], "unknown config key"),
    ],
)
def test_bad_input(given, line, capsys):
    assert main.main(["bench", "card", *given]) == 2
    assert line in capsys.readouterr().err


def test_a_file_of_other_things(few, tmp_path, capsys):
    file = tmp_path / "other.json"
    file.write_text("[1]")
    assert main.main(["bench", "card", "--json", str(file)]) == 2
    assert f"{file} holds no results of `bench card`" in capsys.readouterr().err


@pytest.mark.parametrize("name", works.WORKS)
def test_every_work_is_a_config_that_resolves(name):
    work = works.WORKS[name]
    config = resolve.resolve(work.spec, work.changes)
    assert json.loads(config.to_json())["model"]


def test_a_process_tells_one_line(monkeypatch, few):
    monkeypatch.setattr(process.runtime, "start", lambda environ: None)

    def measure(config, rounds):
        return measured(items=config["a"], compile=float(rounds))

    small = dataclasses.replace(works.WORKS["quick"], measure=measure)
    monkeypatch.setitem(works.WORKS, "quick", small)
    out = io.StringIO()
    process.main("quick", 3, io.StringIO('{"a": 7}\n'), out)
    [line] = out.getvalue().splitlines()
    assert table.measured(json.loads(line)) == measured(items=7, compile=3.0)
