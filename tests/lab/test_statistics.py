"""What seeds say, against scipy's own tests and by hand."""

import math

import numpy as np
import pytest
from scipy import stats

from bridge_jax.lab import statistics, table
from bridge_jax.lab.results import Results

BASE = {0: 0.50, 1: 0.60, 2: 0.55}
BETTER = {0: 0.60, 1: 0.71, 2: 0.64}


def results(**arms):
    figures = {
        arm: {seed: {"score": value} for seed, value in seeds.items()}
        for arm, seeds in arms.items()
    }
    return Results(figures, {})


def test_an_estimate_is_a_mean_with_its_standard_error():
    found = statistics.estimate([1.0, 2.0, 4.0])
    assert found.n == 3 and found.mean == pytest.approx(7 / 3)
    assert found.error == pytest.approx(stats.sem([1.0, 2.0, 4.0]))
    alone = statistics.estimate([0.5])
    assert alone.mean == 0.5 and math.isnan(alone.error) and not alone.is_clear


def test_differences_are_paired_by_seed():
    found = statistics.difference(BETTER, BASE)
    gaps = [0.10, 0.11, 0.09]
    assert found.mean == pytest.approx(0.10) and found.n == 3
    assert found.error == pytest.approx(stats.sem(gaps))
    # The seeds vary by more than the gap, which pairing takes out.
    unpaired = stats.sem(list(BETTER.values()))
    assert found.error < unpaired / 3
    only = statistics.difference({1: 0.7, 9: 0.1}, BASE)
    assert only.n == 1 and only.mean == pytest.approx(0.1)
    assert statistics.difference({9: 0.1}, BASE) is None


def test_clear_is_what_a_paired_t_test_calls_significant():
    draw = np.random.default_rng(0)
    called = {True: 0, False: 0}
    for _ in range(200):
        gaps = draw.normal(0.5, 0.4, 3)
        p = stats.ttest_1samp(gaps, 0.0).pvalue
        assert statistics.estimate(gaps).is_clear == (p < 0.05)
        called[bool(p < 0.05)] += 1
    assert min(called.values()) > 20


def test_gaps_that_cancel_are_none():
    found = statistics.difference({0: 0.4, 1: 0.2}, {0: 0.3, 1: 0.3})
    assert found.mean == 0 and found.error == pytest.approx(0.1)
    assert table.difference(found) == "+0.000 ± 0.100"


def test_equal_gaps_are_not_clear():
    """Differences of shares, which rounding makes a little unlike."""
    found = statistics.difference({0: 0.3, 1: 0.4}, {0: 0.2, 1: 0.3})
    assert found.mean == pytest.approx(0.1) and found.error == 0
    assert not found.is_clear


def test_the_table_marks_what_is_clear():
    text = table.markdown(
        results(baseline=BASE, better=BETTER, odd={0: 0.9}), ["score"]
    )
    rows = text.splitlines()
    assert rows[2] == "| baseline | 0.550 ± 0.029 | 3 |"
    assert rows[3] == "| better | 0.650 ± 0.032 (**+0.100 ± 0.0058**) | 3 |"
    assert rows[4] == "| odd | 0.900 (+0.400) | 1 |"
    assert "95 %" in rows[-1]


def test_a_figure_that_an_arm_lacks_stays_empty():
    given = Results({"baseline": {0: {"a": 1.0}}, "other": {0: {"b": 2.0}}}, {})
    rows = table.markdown(given, ["a", "b"]).splitlines()
    assert rows[2] == "| baseline | 1.000 |  | 1 |"
    assert rows[3] == "| other |  | 2.000 | 1 |"
