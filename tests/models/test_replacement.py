"""Which positions learned queries take, and how their share grows."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bridge_jax.models import replacement

GOLDEN = Path(__file__).parents[1] / "golden"
ALL = jnp.ones(64, bool)


@pytest.mark.parametrize("case", ["v", "vi"])
def test_edit_rows_are_spared_as_in_the_reference(case):
    with np.load(GOLDEN / "bilm.npz") as golden:
        edits = golden[f"in/{case}/edit_indexs"] > 0
        reference = golden[f"in/{case}/mask"]
        raw = golden[f"in/{case}/mask_raw"]
    rows, length = reference.shape
    key, ratios = jax.random.key(0), jnp.ones(rows)
    mask = replacement.sample_mask(key, ratios, length, jnp.asarray(~edits))
    np.testing.assert_array_equal(raw & np.asarray(mask), reference)


def test_the_share_is_the_ratio_of_each_row():
    key = jax.random.key(0)

    def share(ratio):
        return replacement.sample_mask(key, jnp.full(64, ratio), 100, ALL).mean()

    assert share(0.0) == 0.0 and share(1.0) == 1.0
    assert abs(share(0.3) - 0.3) < 0.02
    by_row = replacement.sample_mask(key, jnp.linspace(0.0, 1.0, 64), 100, ALL)
    assert not by_row[0].any() and by_row[-1].all()


def test_rows_that_keep_their_text():
    replaceable = jnp.arange(64) < 32
    key, ratios = jax.random.key(0), jnp.ones(64)
    mask = replacement.sample_mask(key, ratios, 100, replaceable)
    np.testing.assert_array_equal(mask.any(1), replaceable)


def test_the_interval_moves_linearly_and_stops():
    schedule = replacement.Schedule((0.0, 0.2), (1.0, 1.0), begin=10, finish=20)
    expected = {0: (0.0, 0.2), 10: (0.0, 0.2), 15: (0.5, 0.6), 20: (1.0, 1.0)}
    for step, interval in {**expected, 99: (1.0, 1.0)}.items():
        np.testing.assert_allclose(
            schedule.interval(jnp.int32(step)), interval, rtol=1e-6
        )


def test_dials_take_turns():
    dials = ((0.0, 0.15), (0.15, 0.75), (1.0, 1.0))
    schedule = replacement.Schedule(begin=10, finish=40, dials=dials)
    turns = {0: 0, 10: 0, 19: 0, 20: 1, 29: 1, 30: 2, 40: 2, 999: 2}
    for step, turn in turns.items():
        found = schedule.interval(jnp.int32(step))
        np.testing.assert_allclose(found, dials[turn], rtol=1e-6)


def test_ratios_fill_the_interval():
    schedule = replacement.Schedule((0.15, 0.75), (0.15, 0.75))
    ratios = np.asarray(schedule.ratios(jax.random.key(1), 500, jnp.int32(7)))
    assert 0.15 <= ratios.min() < 0.17 and 0.73 < ratios.max() <= 0.75
    again = schedule.ratios(jax.random.key(1), 500, jnp.int32(7))
    np.testing.assert_array_equal(ratios, again)
    still = replacement.fixed(0.25).ratios(jax.random.key(1), 5, jnp.int32(3))
    np.testing.assert_array_equal(still, np.full(5, 0.25, np.float32))
