"""`bridge parity` holds on what the references recorded, and on nothing else."""

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest

from bridge_jax.cli import main
from bridge_jax.core import marks
from bridge_jax.core.errors import BridgeError
from bridge_jax.parity import comparison, fixture, run, table

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden"
NAMES = sorted(path.stem for path in GOLDEN.glob("*.npz"))


@pytest.fixture(scope="module", params=NAMES)
def given(request):
    return fixture.read(GOLDEN / f"{request.param}.npz")


@pytest.fixture(scope="module")
def computed(given):
    """(fixture, what the component makes of it): computed once, compared often."""
    component = run.component(given)
    return given, component, run.computed(given, component)


def changed(given, name, array):
    return dataclasses.replace(given, arrays={**given.arrays, name: array})


def test_everything_holds_and_nothing_is_forgotten(computed):
    result = run.compare(*computed)
    assert [row for row in result.rows if not row.holds] == []
    names = {row.name for row in result.rows} | {name for name, _ in result.left_out}
    given = computed[0]
    assert all(n in names for n in given.arrays if n.split("/")[0] in ("out", "grad"))
    said = table.text(result)
    assert f"all {len(result.rows)} hold" in said
    assert all(name in said for name, _ in result.left_out)


def test_one_percent_is_too_much(computed):
    """In every recorded output, one after another."""
    given, component, values = computed
    tried = 0
    for value in values:
        recorded = given[value.name]
        if recorded.dtype.kind != "f" or not np.any(recorded) or value.largest:
            continue
        result = run.compare(
            changed(given, value.name, (recorded * 1.01).astype(recorded.dtype)),
            component,
            values,
        )
        assert [r.name for r in result.rows if not r.holds] == [value.name]
        tried += 1
    assert tried > len(values) / 2


def test_a_whole_number_off_is_too_much(computed):
    given, component, values = computed
    for value in values:
        recorded = given[value.name]
        if recorded.dtype.kind in "iu":
            result = run.compare(
                changed(given, value.name, recorded + 1), component, values
            )
            assert value.name in [r.name for r in result.rows if not r.holds]


def test_the_readme_tells_of_every_recording(given):
    written = marks.between(ROOT / "README.md", "parity")
    assert re.search(
        rf"^\| `{given.name}` \| \d+ \|.*\| holds \|$", written, re.MULTILINE
    )


def test_a_zeroed_weight_fails(given):
    """Any one of them, before anything is computed."""
    for name, array in given.weights.items():
        damaged = changed(given, f"w/{name}", np.zeros_like(array))
        rows = list(run.check_weights(damaged, run.component(given)))
        assert [row.name for row in rows if not row.holds] == [f"w/{name}"]


def test_a_zeroed_weight_shows_in_the_numbers():
    """The aligner's weights, one a kind: no check of weights would be needed."""
    given = fixture.read(GOLDEN / "bilm.npz")
    component = run.component(given)
    for name in (
        "block.1.layer.0.SelfAttention.k.weight",
        "block.0.layer.0.SelfAttention.relative_attention_bias.weight",
        "block.2.layer.1.EncDecAttention.o.weight",
        "block.5.layer.1.DenseReluDense.wi_1.weight",
        "block.3.layer.0.layer_norm.weight",
        "query_tokens",
    ):
        damaged = changed(given, f"w/{name}", np.zeros_like(given[f"w/{name}"]))
        values = run.computed(damaged, component)
        rows = [comparison.compare(value, damaged[value.name]) for value in values]
        assert any(not row.holds for row in rows), name


def test_an_array_that_nothing_computes_fails():
    given = fixture.read(GOLDEN / "diffusion.npz")
    more = changed(given, "out/new/thing", np.ones(3, np.float32))
    result = run.compare(more, run.component(given), ())
    assert "out/new/thing" in [row.name for row in result.rows if not row.holds]


def test_not_a_number_never_holds():
    value = comparison.Value("out/x", np.array([1.0, np.nan]), comparison.COMPOSED)
    assert not comparison.compare(value, np.array([1.0, 2.0])).holds
    assert not comparison.compare(value, np.array([1.0, np.nan])).holds
    wrong_shape = comparison.Value("out/x", np.ones(3), comparison.COMPOSED)
    assert not comparison.compare(wrong_shape, np.ones(2)).holds


@pytest.fixture
def small(tmp_path):
    """write(arrays, **about) -> path of a fixture."""

    def write(arrays, /, **about):
        path = tmp_path / "one.npz"
        np.savez(path, **arrays)
        shapes = {n: {"shape": list(a.shape)} for n, a in arrays.items()}
        whole = {"name": "diffusion", "config": {}, "arrays": shapes} | about
        path.with_suffix(".json").write_text(json.dumps(whole))
        return path

    return write


def test_the_command_says_what_it_found(capfd):
    assert main.main(["parity", str(GOLDEN / "bilm.npz")]) == 0
    said = capfd.readouterr().out
    assert "relative_attention_bias" in said and "1e-04" in said
    assert "in/i/p: the rate" in said


def test_the_command_fails_on_a_difference(tmp_path, capfd):
    arrays = dict(np.load(GOLDEN / "bilm.npz"))
    arrays["out/ii/hidden"] = arrays["out/ii/hidden"] * np.float32(1.01)
    np.savez(tmp_path / "bilm.npz", **arrays)
    (tmp_path / "bilm.json").write_bytes((GOLDEN / "bilm.json").read_bytes())
    with pytest.raises(SystemExit) as stopped:
        main.main(["parity", str(tmp_path / "bilm.npz")])
    assert stopped.value.code == 1
    said = capfd.readouterr().out
    assert said.count("FAILS") == 1 and "1 of 40 FAIL" in said


@pytest.mark.parametrize(
    ("arrays", "about", "wanted"),
    [
        ({"out/a": np.ones(2)}, {"name": "difusion"}, "did you mean 'diffusion'"),
        ({"out/a": np.ones(2)}, {"arrays": {}}, "out/a is not in the json"),
        ({"b": np.ones(2)}, {}, "b is of no known kind"),
        ({"out/a": np.ones(2)}, {"config": None, "name": "bilm"}, "config"),
    ],
)
def test_a_fixture_that_does_not_fit_is_refused(small, arrays, about, wanted, capfd):
    assert main.main(["parity", str(small(arrays, **about))]) == 2
    said = capfd.readouterr().err
    assert wanted in said and said.count("\n") == 1


def test_damaged_files_are_refused(small, tmp_path):
    path = small({"out/a": np.ones(2)})
    with pytest.raises(BridgeError, match="cannot read"):
        fixture.read(tmp_path / "none.npz")
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(BridgeError, match="no npz of plain arrays"):
        fixture.read(path)
    np.savez(path, **{"out/a": np.array([{}], object)})
    with pytest.raises(BridgeError, match="no npz of plain arrays"):
        fixture.read(path)
    path.with_suffix(".json").write_text("{")
    with pytest.raises(BridgeError, match="is no json"):
        fixture.read(path)
