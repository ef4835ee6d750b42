"""The race of connectors takes turns; times are no test's business."""

import pytest

from bridge_jax.bench import connectors, stepper
from bridge_jax.train import recipe


def test_both_connectors_take_turns_and_who_begins_alternates(monkeypatch):
    """Recipes are real and whole; the steps themselves, of which tests/train has many,
    are not taken."""
    taken = []

    def stands_for(config):
        name = config.model["vlm"]["connector"]
        assert recipe.make(config).bundle["vlm"].config.connector == name
        assert not config.init_from
        return lambda: taken.append(name)

    monkeypatch.setattr(stepper, "stepper", stands_for)
    step = "tuning (llama3)"
    [(name, result)] = connectors.measure(2, {step: connectors.STEPS[step]}).items()
    ours, mlp = connectors.CONNECTORS
    assert taken == [mlp, ours, ours, mlp, mlp, ours]
    assert name == step and len(result.ours) == len(result.mlp) == 2


def test_a_step_is_compared_with_its_neighbour():
    # The second pair was slow as a whole, which says nothing of either.
    result = connectors.Result(ours=(2.2, 11.0, 2.4), mlp=(2.0, 10.0, 2.0))
    assert result.quartiles == pytest.approx((1.1, 1.1, 1.15))
    told = connectors.markdown({"tuning": result}).splitlines()[-1]
    assert told == "| tuning | 1.10 | 1.10 to 1.15 |"
