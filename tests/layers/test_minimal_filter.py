"""Filters of few products give what three taps give."""

import numpy as np
import pytest

from bridge_jax.layers.minimal_filter import FOUR, TWO, Filter


@pytest.mark.parametrize("one", [TWO, FOUR, Filter(3, (0.0, 1.0, -1.0, 2.0))])
def test_outputs_are_those_of_three_taps(one):
    rng = np.random.default_rng(0)
    inputs, taps = rng.standard_normal(one.places), rng.standard_normal(3)
    found = one.output @ ((one.kernel @ taps) * (one.tile @ inputs))
    assert one.places == one.outputs + 2
    np.testing.assert_allclose(found, np.correlate(inputs, taps), rtol=0, atol=1e-12)
