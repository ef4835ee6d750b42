"""Races: sides agree before they are timed, take turns, and the table judges fairly."""

import dataclasses
import io
import itertools
import json
import sys
import types
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
import pytest

from bridge_jax.bench.side_by_side import (
    case,
    cases,
    ours,
    plot,
    process,
    race,
    suite,
    table,
)
from bridge_jax.bench.side_by_side.cases import qwen2_vl
from bridge_jax.cli import bench, main
from bridge_jax.core.errors import BridgeError


@pytest.fixture
def sums(tmp_path, monkeypatch):
    """A model whose sides are plain Python, also in the processes of a race."""
    text = """
import numpy as np
from bridge_jax.bench.side_by_side.case import Case, Side

def side(factor):
    def make(task):
        count = [0]
        def run():
            count[0] += 1
            return np.arange(3.0) * factor * count[0]
        return Side(run, lambda out: {"out": out})
    return make

CASES = {
    "same": Case(side(1), side(1), lambda size: 3, "number", sizes=("tiny", "small")),
    "other": Case(side(1), side(1.001), lambda size: 3, "number", sizes=("tiny",)),
}
"""
    folder = tmp_path / "more"
    folder.mkdir()
    (folder / "sums.py").write_text(text)
    monkeypatch.setattr(cases, "__path__", [str(folder)])
    yield folder
    sys.modules.pop(f"{cases.__name__}.sums", None)


class Answers:
    """A process that never was: a side, called as `race` calls it."""

    log: ClassVar[list] = []

    def __init__(self, name, side, size, folder, dtype):
        self.name = side
        task = case.Task(size, folder, side == "torch.compile", dtype)
        self.folder, self.side = folder, case.make(name, side, task)
        self.seconds = itertools.count(1)

    def ask(self, command):
        self.log.append((self.name, command))
        word, _, argument = command.partition(" ")
        if word == "first":
            told = self.side.told(self.side.run())
            np.savez(f"{self.folder}/{argument}.npz", **told)
            return {"seconds": [0.5]}
        return {"seconds": [float(next(self.seconds))] * int(argument), "peak": 7}


@pytest.fixture
def quick(sums, monkeypatch):
    """Races without processes."""
    Answers.log.clear()
    monkeypatch.setattr(race, "_REST", 0)

    @race.contextlib.contextmanager
    def started(given, cores):
        yield Answers(*given)

    monkeypatch.setattr(race, "_started", started)


@pytest.mark.usefixtures("quick")
def test_sides_take_turns_in_alternating_order():
    result = race.run("sums/same", "tiny", "torch", cores=1, rounds=4)
    turns = [name for name, command in Answers.log if command.startswith("run")]
    assert turns == ["ours", "torch", "torch", "ours", "ours", "torch", "torch", "ours"]
    assert {c for _, c in Answers.log if c.startswith("run")} == {"run 2"}
    assert result.error == 0 and result.ours.rounds == (1, 2, 3, 4)
    assert result.ratios == [1] * 4 and result.ours.peak == 7


@pytest.mark.usefixtures("quick")
def test_sides_that_differ_are_not_timed():
    with pytest.raises(BridgeError, match="other at tiny: ours and torch differ by 1"):
        race.run("sums/other", "tiny", "torch", cores=1)
    assert not [c for _, c in Answers.log if c.startswith("run")]


def test_whole_numbers_are_alike_or_not():
    tokens = np.array([[700, 2]])
    assert race.difference(tokens, tokens.copy()) == 0.0
    assert race.difference(tokens, tokens + [[0, 1]]) == np.inf


def test_in_half_precision_scores_are_compared_and_ties_may_part():
    task = case.Task("tiny", None, dtype="bfloat16")
    tokens, scores = np.array([[2, 7, 7], [0, 7, 7]]), np.zeros((2, 1, 4), np.float32)
    scores[:, :, [1, 2]] = 1.0  # alike, so that either may be chosen

    def score():
        return scores

    ours = qwen2_vl._chosen(task, tokens[:1], lambda: scores[:1])
    theirs = qwen2_vl._chosen(task, tokens[:1] - 1, lambda: scores[:1])
    assert {name: one.shape for name, one in ours.items()} == {
        "scores": (1, 4),
        "short": (1, 1),
    }
    for name, one in theirs.items():
        assert race.difference(ours[name], one) == 0.0
    wrong = qwen2_vl._chosen(task, tokens, score)["short"]
    right = qwen2_vl._chosen(task, np.ones_like(tokens), score)["short"]
    assert wrong.tolist() == [[0.0], [1.0]]
    assert race.difference(wrong, right) == 1.0
    exact = qwen2_vl._chosen(case.Task("tiny", None), tokens, score)
    np.testing.assert_array_equal(exact["tokens"], tokens)


@pytest.mark.usefixtures("quick")
def test_a_suite_goes_on_where_it_stopped(tmp_path):
    file = tmp_path / "races.json"
    asked = (["sums/same"], ("tiny", "small"), "torch", file)
    first, apart = suite.run(*asked, cores=1, rounds=2)
    assert not apart
    assert [(one.case, one.size) for one in first] == [
        ("sums/same", "tiny"),
        ("sums/same", "small"),
    ]
    told = json.loads(file.read_text())
    file.write_text(json.dumps(told[1:]))
    Answers.log.clear()
    assert suite.run(*asked, cores=1, rounds=2) == (first, [])
    assert Answers.log.count(("ours", "first ours.first")) == 1
    half, _ = suite.run(*asked, cores=1, rounds=2, dtype="bfloat16")
    assert [one.dtype for one in half] == ["bfloat16"] * 2
    assert len(json.loads(file.read_text())) == 4
    assert suite.run(*asked, cores=1, rounds=2) == (first, [])
    file.write_text("[{}]")
    with pytest.raises(BridgeError, match=r"races\.json holds no results"):
        suite.run(*asked, cores=1)


@pytest.mark.usefixtures("quick")
def test_rounds_of_several_hours_are_counted_together(tmp_path):
    file = tmp_path / "races.json"
    asked = (["sums/same"], ("tiny", "small"), "torch", file)
    first, _ = suite.run(*asked, cores=1, rounds=2)
    both, _ = suite.run(["sums/same"], ("tiny",), *asked[2:], again=True, cores=1)
    assert [(one.case, one.size) for one in both] == [
        (one.case, one.size) for one in first
    ]
    assert both[0].ours.rounds == first[0].ours.rounds + (1, 2, 3, 4, 5)
    assert both[0].theirs.rounds == first[0].theirs.rounds + (1, 2, 3, 4, 5)
    assert both[1] == first[1]
    assert suite.run(*asked, cores=1) == (both, [])
    slow = dataclasses.replace(first[0], ours=race.Times(1.0, (3.0, 3.0), 9))
    joined = first[0].joined(slow)
    assert joined.ratios == [*first[0].ratios, *slow.ratios] and joined.ours.peak == 9
    other = dataclasses.replace(slow, versions={"jax": "another"})
    assert first[0].joined(other) == other


@pytest.mark.usefixtures("quick")
def test_a_suite_goes_on_after_sides_that_differ(tmp_path):
    """They are in no file, so that they are raced again once they are mended."""
    file = tmp_path / "races.json"
    names = ["sums/other", "sums/same"]
    results, apart = suite.run(names, ("tiny",), "torch", file, cores=1, rounds=2)
    assert [one.case for one in results] == ["sums/same"]
    assert [one["case"] for one in json.loads(file.read_text())] == ["sums/same"]
    assert [(one.case, one.size) for one in apart] == [("sums/other", "tiny")]
    text = table.markdown(results, apart)
    assert "\n" not in text[: text.index("Not timed")]
    assert "Not timed, as the two disagree: `sums/other` at tiny by 0.1%." in text
    assert "Not timed" not in table.markdown(results)


@pytest.mark.usefixtures("sums")
def test_processes_answer_and_a_broken_one_is_told():
    """Real processes do not know the cases above: theirs stops at once."""
    with pytest.raises(BridgeError, match="process of torch stopped"):
        race.run("sums/same", "tiny", "torch", cores=1)


def test_a_side_answers_commands(tmp_path, monkeypatch):
    """In bfloat16 too, which numpy's files do not know."""

    def half(task):
        values = jnp.asarray([1.0, 2.0, 3.0], jnp.dtype(task.dtype))
        return case.Side(lambda: values, lambda out: {"out": np.asarray(out)})

    monkeypatch.setattr(case, "make", lambda name, side, task: half(task))
    monkeypatch.setattr(ours, "start", lambda: None)
    out = io.StringIO()
    words = ["any/thing", "ours", "tiny", str(tmp_path), "bfloat16"]
    process.main(words, io.StringIO("first a\nrun 3\n"), out)
    built, first, timed = map(json.loads, out.getvalue().splitlines())
    assert built["built"] >= 0 and len(first["seconds"]) == 1
    assert len(timed["seconds"]) == 3
    with np.load(tmp_path / "a.npz") as file:
        assert file["out"].dtype == np.float32 and file["out"].tolist() == [1, 2, 3]


def result(name, size, ours, theirs, peer="torch"):
    times = [race.Times(10.0, tuple(seconds), 2_000_000) for seconds in (ours, theirs)]
    return race.Result(name, size, peer, *times, 1e-6, "float32", {"jax": "1.2"})


RESULTS = [
    result("mt5/encode", "tiny", (1, 2, 9), (2, 4, 18)),
    result("qwen2_vl/decode_1", "small", (1, 1, 1), (1.5, 1.5, 1.5)),
    result("qwen2_vl/train", "medium", (2, 2, 2), (1, 1, 1)),
    result("qwen2_vl/decode_1", "tiny", (1, 1, 1), (1.5, 1.5, 1.5), "torch.compile"),
]


def test_the_table_says_what_is_slower():
    text = table.markdown(RESULTS)
    assert text.startswith("4 races, 2 as wanted. Still slower than the peer: ")
    assert "peer: `qwen2_vl/train` at medium 0.50." in text
    assert "less than wanted: `qwen2_vl/decode_1` at small 1.50." in text
    assert text.endswith("\n\nVersions: jax 1.2.")
    row = "| `mt5/encode` | tiny | torch | 2,000 | 4,000 | **2.00** (2.00 to 2.00) |"
    assert row in text and " | 1 | 72 tokens | 8.0 | 2 / 2 |" in text


def test_the_plot_has_a_bar_a_race():
    pytest.importorskip("matplotlib")
    assert plot.png(RESULTS)[:4] == b"\x89PNG"
    assert plot.png(RESULTS) != plot.png(RESULTS[:3])


def test_every_case_is_complete():
    assert {"qwen2_vl/train", "hunyuan_dit/sample", "stage2/step"} <= {*case.names()}
    for name in case.names():
        one = case.named(name)
        assert one.wanted >= 1 and one.tolerance <= 1e-3
        assert all(one.items(size) > 0 for size in one.sizes)
    with pytest.raises(BridgeError, match="no case 'mt5/encod' .did you mean"):
        case.named("mt5/encod")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("cpu", "--cases", "mt5/decode"), "no case mt5/decode: there are"),
        (("gpu", "--sizes", "3b"), "no size 3b: there are tiny, small"),
        (("cpu", "--suite", "gpu"), "bench cpu or bench --suite gpu, not both"),
        (("search", "--plot", "x.png", "--workdir", "x"), "draws nothing"),
        (("--config.x=1",), "reads no config"),
        (("cpu", "--again"), "--again adds rounds to a file's races"),
    ],
)
def test_mistakes(words, told, capsys):
    assert main.main(["bench", *words]) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "suite"),
    [((), "cpu"), (("gpu",), "gpu"), (("--suite", "gpu"), "gpu")],
)
def test_a_suite_is_named_either_way(words, suite, monkeypatch, capsys):
    for name in bench.SUITES:
        monkeypatch.setitem(bench.SUITES, name, lambda args: f"this is {args.suite}")
    assert main.main(["bench", *words]) == 0
    assert capsys.readouterr().out == f"this is {suite}\n"


def test_peers_that_are_not_there_are_named(monkeypatch, capsys):
    monkeypatch.setattr(
        bench.importlib, "util", types.SimpleNamespace(find_spec=lambda name: None)
    )
    assert main.main(["bench", "cpu"]) == 2
    assert "races need torch and diffusers: pip install" in capsys.readouterr().err
