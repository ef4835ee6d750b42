"""Noise tables, conversions, posteriors, training losses, samplers and guidance."""

import functools
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from bridge_jax.core import weights as tables
from bridge_jax.diffusion import bound, guidance, loss, samplers, sampling, schedules
from bridge_jax.diffusion import targets as targets_lib
from bridge_jax.parity.comparison import COMPOSED, EXACT, SINGLE, Value
from bridge_jax.parity.fixture import Fixture

LEFT_OUT: dict[str, str] = {}
# case -> (loss, prediction kind, whether the variance is learned)
LOSSES = {
    "learned_range_mse": (loss.hybrid, "v", True),
    "learned_range_rescaled": (loss.hybrid, "v", True),
    "eps_mse": (loss.hybrid, "eps", True),
    "fixed_large_mse": (loss.mse, "v", False),
    "fixed_small_mse": (loss.mse, "v", False),
    "min_snr_5": (functools.partial(loss.min_snr, gamma=5.0), "v", True),
    "kl": (loss.kl, "v", True),
}
SAMPLERS = {"ddpm": "ddpm", "ddim": "ddim", "dpmms": "dpm"}  # theirs -> ours


def rules(fixture: Fixture) -> list[list[tables.Rule]]:
    return []


def schedule(fixture: Fixture, kind: str = "scaled_linear") -> schedules.Schedule:
    c = fixture.config
    return schedules.Schedule(
        kind, beta_start=c["beta_start"], beta_end=c["beta_end"], num_steps=c["T"]
    )


def compute(fixture: Fixture) -> Iterator[Value]:
    yield from _tables(fixture)
    yield from _conversions(fixture)
    yield from _variances(fixture)
    yield from _losses(fixture)
    yield from _trajectories(fixture)
    yield from _guidance(fixture)


def _tables(fixture: Fixture) -> Iterator[Value]:
    for kind in fixture.below("out/betas/"):
        yield Value(f"out/betas/{kind}", schedule(fixture, kind).betas, SINGLE)
    for name in fixture.below("out/tables/"):
        yield Value(f"out/tables/{name}", getattr(schedule(fixture), name), SINGLE)


def _conversions(fixture: Fixture) -> Iterator[Value]:
    noising, x0, noise, t = schedule(fixture), *_batch(fixture)
    v = jnp.asarray(fixture["in/model_v"])
    x_t = loss.q_sample(noising, x0, noise, t)
    level = [
        schedules.at(table, t, x0.ndim) for table in (noising.signal, noising.sigma)
    ]
    posterior = bound.posterior(noising, x0, x_t, t)
    ours = {
        "q_sample": x_t,
        "v_target": targets_lib.target("v", x0, noise, *level),
        "x0_from_v": targets_lib.to_x0("v", v, x_t, *level),
        "x0_from_eps": targets_lib.to_x0("eps", v, x_t, *level),
        "eps_from_x0": targets_lib.to_eps("x0", v, x_t, *level),
        "posterior_mean": posterior.mean,
        "posterior_logvar": posterior.log_variance[:, 0, 0, 0],
        "posterior_var": schedules.at(noising.posterior_variance, t, 1),
    }
    for name, value in ours.items():
        yield Value(f"out/{name}", value, SINGLE)


def _variances(fixture: Fixture) -> Iterator[Value]:
    names = ("in/model_v", "in/model_var", "out/q_sample", "in/t")
    given = [jnp.asarray(fixture[name]) for name in names]
    for case in ("clip0", "clip1"):
        clip = case == "clip1"
        found, x0 = bound.predicted(schedule(fixture), "v", *given, clip=clip)
        ours = {
            "mean": found.mean,
            "log_variance": found.log_variance,
            "variance": jnp.exp(found.log_variance),
            "pred_xstart": x0,
        }
        for name, value in ours.items():
            yield Value(f"out/p_mean_variance/{case}/{name}", value, SINGLE)


def _batch(fixture: Fixture) -> list[jax.Array]:
    return [jnp.asarray(fixture[f"in/{name}"]) for name in ("x0", "noise", "t")]


def _losses(fixture: Fixture) -> Iterator[Value]:
    for case in dict.fromkeys(n.split("/")[0] for n in fixture.below("out/train/")):
        yield from _loss(fixture, case, *LOSSES[case])


def _loss(fixture, case, function, kind, learned) -> Iterator[Value]:
    parts = [fixture["in/model_v"], fixture["in/model_var"]][: 1 + learned]
    output = jnp.asarray(np.concatenate(parts, axis=1).transpose(0, 2, 3, 1))
    x0, noise, t = _batch(fixture)
    given = (schedule(fixture), kind)
    clean = (x0.transpose(0, 2, 3, 1), noise.transpose(0, 2, 3, 1), t)

    def mean(output):
        found = function(*given, output, *clean)
        each = found.value_sum / found.weight
        return jnp.sum(found.value_sum) / jnp.sum(found.weight), each

    (_, values), gradient = jax.value_and_grad(mean, has_aux=True)(output)
    yield Value(f"out/train/{case}/loss", values, SINGLE)
    # The bound at t = 0 composes posterior, decoder and logarithm.
    yield Value(
        f"grad/train/{case}/model_output",
        np.asarray(gradient).transpose(0, 3, 1, 2),
        COMPOSED if learned else SINGLE,
    )
    yield from _terms(fixture, case, learned, (*given, output, *clean))


def _terms(fixture, case, learned, arguments) -> Iterator[Value]:
    """The terms that each recorded loss is made of."""
    mse = loss.mse(*arguments)
    ours = {"mse": mse.value_sum / mse.weight}
    ours["raw_loss"] = ours["mse"]
    if learned:
        vb = loss.kl(*arguments)
        ours["vb"] = vb.value_sum / vb.weight
        ours["raw_loss"] = ours["mse"] + ours["vb"]
    if case == "min_snr_5":
        weighed = loss.min_snr(*arguments, gamma=5.0)
        ours["mse"] = weighed.value_sum / weighed.weight - ours["vb"]
    for name, value in ours.items():
        if f"out/train/{case}/{name}" in fixture:
            yield Value(f"out/train/{case}/{name}", value, SINGLE)


def _trajectories(fixture: Fixture) -> Iterator[Value]:
    for name in fixture.below("out/timesteps/"):
        theirs, steps = name.split("/")
        sampler = _sampler(fixture, theirs)
        found = sampler.timesteps(int(steps))
        yield Value(f"out/timesteps/{name}", np.asarray(found), EXACT)
    for name in fixture.below("out/sched/"):
        case, _, last = name.rpartition("/")
        if last == "samples":
            yield from _trajectory(fixture, case)


def _sampler(fixture: Fixture, theirs: str, **options) -> sampling.LinearSampler:
    return samplers.load(SAMPLERS[theirs], schedule=schedule(fixture), **options)


def _trajectory(fixture: Fixture, case: str) -> Iterator[Value]:
    """Step by step with the recorded noise and the fixture's stand-in for a model."""
    theirs, steps, *eta = case.split("/")
    options = {"eta": float(eta[0].removeprefix("eta"))} if eta else {}
    sampler = _sampler(fixture, theirs, **options)
    plan = sampler.plan(int(steps))
    yield Value(f"out/sched/{case}/timesteps", np.asarray(plan.timesteps), EXACT)
    noises = fixture[f"in/sched/{case}/noises"]
    x = jnp.asarray(fixture[f"in/sched/{case}/x_init"])
    state, xs, x0s = sampling.State(x, jnp.zeros_like(x)), [], []
    for i in range(int(steps)):
        row = plan.row(i)
        output = 0.3 * state.x + 0.001 * row.timesteps
        state = sampler.step(row, state, output, jnp.asarray(noises[i]))
        xs.append(state.x)
        x0s.append(state.x0)
    yield Value(f"out/sched/{case}/samples", jnp.stack(xs), COMPOSED)
    if f"out/sched/{case}/pred_x0" in fixture:
        yield Value(f"out/sched/{case}/pred_x0", jnp.stack(x0s), COMPOSED)
    if f"out/sched/{case}/sigmas" in fixture:
        sigmas = np.append(plan.sigma / plan.signal, 0.0)
        yield Value(f"out/sched/{case}/sigmas", sigmas, SINGLE)


def _guidance(fixture: Fixture) -> Iterator[Value]:
    text, empty = (jnp.asarray(fixture[f"in/cfg/{n}"]) for n in ("text", "uncond"))
    for name in fixture.below("out/cfg/guided"):
        guided = guidance.guide(empty, text, float(name))
        yield Value(f"out/cfg/guided{name}", guided, SINGLE)
        for amount in fixture.below("out/cfg/rescaled"):
            rescaled = guidance.rescale(guided, text, float(amount))
            yield Value(f"out/cfg/rescaled{amount}", rescaled, SINGLE)
