"""Noise tables and conversions; recorded numbers are parity's."""

import pathlib

import jax.numpy as jnp
import numpy as np
import pytest

from bridge_jax.core.errors import BridgeError
from bridge_jax.diffusion import loss, schedules, targets

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN / "diffusion.npz") as file:
        return dict(file)


def error(value, expected):
    value, expected = np.asarray(value), np.asarray(expected)
    assert value.shape == expected.shape
    return np.max(np.abs(value - expected)) / np.max(np.abs(expected))


@pytest.mark.parametrize("kind", targets.KINDS)
def test_conversions_undo_targets(golden, kind):
    schedule = schedules.Schedule()
    x0, noise, t = (jnp.asarray(golden[f"in/{n}"]) for n in ("x0", "noise", "t"))
    x_t = loss.q_sample(schedule, x0, noise, t)
    level = (
        schedules.at(schedule.signal, t, x0.ndim),
        schedules.at(schedule.sigma, t, x0.ndim),
    )
    output = targets.target(kind, x0, noise, *level)
    assert error(targets.to_x0(kind, output, x_t, *level), x0) < 1e-4
    assert error(targets.to_eps(kind, output, x_t, *level), noise) < 1e-4


def test_scheduler_config_of_the_weights():
    published = {
        "beta_schedule": "scaled_linear",
        "beta_start": 0.00085,
        "beta_end": 0.03,
        "prediction_type": "v_prediction",
        "trained_betas": None,
    }
    schedule, prediction = schedules.from_scheduler_config(published)
    assert schedule == schedules.Schedule(beta_end=0.03)
    assert prediction == "v"
    odd = {"prediction_type": "flow", "rescale_betas_zero_snr": True}
    with pytest.raises(BridgeError, match=r"'flow'.*; rescale_betas_zero_snr"):
        schedules.from_scheduler_config(odd)


def test_mistakes_are_named():
    with pytest.raises(BridgeError, match="'cosine' is unknown"):
        schedules.Schedule("cosine")
    with pytest.raises(BridgeError, match="out of range"):
        schedules.Schedule(beta_start=0.5, beta_end=0.1)
    with pytest.raises(BridgeError, match="'velocity' is unknown"):
        targets.check("velocity")
    with pytest.raises(BridgeError, match="6 channels, expected 4 or 8"):
        targets.split_variance(jnp.zeros((1, 2, 2, 6)), 4)
