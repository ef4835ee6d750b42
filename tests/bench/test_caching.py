"""The benchmark of caches runs; times are no test's business."""

import miniature
import pytest

from bridge_jax.bench import caching
from bridge_jax.core.errors import BridgeError


def test_it_takes_steps_each_way(tmp_path):
    file = miniature.stage2_file(tmp_path)
    result = caching.measure(tmp_path / "work", rows=8, rounds=1, spec=str(file))
    assert tuple(result.steps) == caching.NAMES and result.rows == 8
    assert min(*result.steps.values(), result.build) > 0
    with pytest.raises(BridgeError, match="is there already"):
        caching.measure(tmp_path / "work")


def test_the_first_way_is_what_others_are_compared_with():
    steps = dict(zip(caching.NAMES, (2.0, 1.0, 3.0, 8.0), strict=True))
    lines = caching.markdown(caching.Result(4, steps, 0.5)).splitlines()
    assert lines[0].startswith("| a step of 4 samples ")
    told = [line.split(" | ")[-1].strip(" |") for line in lines[2:]]
    assert told == ["1.00", "0.50", "1.50", "4.00", "0.25"]
