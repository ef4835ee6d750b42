"""The race of connectors runs; times are no test's business."""

import pytest

from bridge_jax.bench import connectors

TINY = {"tuning": "configs/langbridge_instruct.py:tiny"}


def test_both_connectors_take_as_many_steps():
    [(name, result)] = connectors.measure(rounds=2, steps=TINY).items()
    assert name == "tuning" and len(result.ours) == len(result.mlp) == 2
    assert min(result.ours + result.mlp) > 0


def test_a_step_is_compared_with_its_neighbour():
    # The second pair was slow as a whole, which says nothing of either.
    result = connectors.Result(ours=(2.2, 11.0, 2.4), mlp=(2.0, 10.0, 2.0))
    assert result.ratio == pytest.approx(1.1)
    assert result.middle_half == pytest.approx((1.1, 1.15))
    told = connectors.markdown({"tuning": result}).splitlines()[-1]
    assert told == "| tuning | 1.10 | 1.10 to 1.15 |"
