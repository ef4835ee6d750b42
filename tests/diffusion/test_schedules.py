"""Noise tables and conversions against recorded reference values."""

import pathlib

import jax.numpy as jnp
import numpy as np
import pytest

from bridge_jax.core.errors import BridgeError
from bridge_jax.diffusion import bound, loss, schedules, targets

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"
SINGLE = 1e-5


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN / "diffusion.npz") as file:
        return dict(file)


def error(value, expected):
    value, expected = np.asarray(value), np.asarray(expected)
    assert value.shape == expected.shape
    return np.max(np.abs(value - expected)) / np.max(np.abs(expected))


@pytest.mark.parametrize("kind", schedules.KINDS)
def test_betas(golden, kind):
    betas = schedules.Schedule(kind).betas
    assert error(betas, golden[f"out/betas/{kind}"]) < 1e-12


def test_tables(golden):
    names = [name for name in golden if name.startswith("out/tables/")]
    assert len(names) == 5
    for name in names:
        found = getattr(schedules.Schedule(), name.rsplit("/", 1)[1])
        assert error(found, golden[name]) < 1e-12, name


def test_forward_process_and_conversions(golden):
    schedule = schedules.Schedule()
    x0, noise, v, t = (
        jnp.asarray(golden[f"in/{name}"]) for name in ("x0", "noise", "model_v", "t")
    )
    x_t = loss.q_sample(schedule, x0, noise, t)
    assert error(x_t, golden["out/q_sample"]) < SINGLE
    level = (
        schedules.at(schedule.signal, t, x0.ndim),
        schedules.at(schedule.sigma, t, x0.ndim),
    )
    assert error(targets.target("v", x0, noise, *level), golden["out/v_target"]) < 1e-5
    found = {
        "x0_from_v": targets.to_x0("v", v, x_t, *level),
        "x0_from_eps": targets.to_x0("eps", v, x_t, *level),
        "eps_from_x0": targets.to_eps("x0", v, x_t, *level),
    }
    for name, value in found.items():
        assert error(value, golden[f"out/{name}"]) < SINGLE, name


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


def test_posterior(golden):
    schedule = schedules.Schedule()
    x0, x_t, t = (jnp.asarray(golden[n]) for n in ("in/x0", "out/q_sample", "in/t"))
    found = bound.posterior(schedule, x0, x_t, t)
    assert error(found.mean, golden["out/posterior_mean"]) < SINGLE
    log_variance = found.log_variance[:, 0, 0, 0]
    assert error(log_variance, golden["out/posterior_logvar"]) < SINGLE
    variance = schedules.at(schedule.posterior_variance, t, 1)
    assert error(variance, golden["out/posterior_var"]) < SINGLE


@pytest.mark.parametrize("clip", [False, True])
def test_learned_range_variances(golden, clip):
    names = ("in/model_v", "in/model_var", "out/q_sample", "in/t")
    found, x0 = bound.predicted(
        schedules.Schedule(), "v", *(jnp.asarray(golden[n]) for n in names), clip=clip
    )
    case = f"out/p_mean_variance/clip{int(clip)}"
    assert error(found.mean, golden[f"{case}/mean"]) < SINGLE
    assert error(found.log_variance, golden[f"{case}/log_variance"]) < SINGLE
    assert error(jnp.exp(found.log_variance), golden[f"{case}/variance"]) < SINGLE
    assert error(x0, golden[f"{case}/pred_xstart"]) < SINGLE


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
