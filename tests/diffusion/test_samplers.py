"""Samplers and guidance: what holds for all of them; numbers are parity's."""

import itertools
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bridge_jax.core.errors import BridgeError
from bridge_jax.diffusion import guidance, samplers, sampling, schedules

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"
SINGLE = 1e-5
COMPOSED = 1e-4


# recorded name -> (our name, options)
@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN / "diffusion.npz") as file:
        return dict(file)


def error(value, expected):
    value, expected = np.asarray(value), np.asarray(expected)
    assert value.shape == expected.shape
    return np.max(np.abs(value - expected)) / np.max(np.abs(expected))


def recorded_model(x, t):
    """The fixture's stand-in for a denoiser: v = 0.3 x + 0.001 t."""
    return 0.3 * x + 0.001 * t[:, None, None, None]


@pytest.mark.parametrize("name", samplers.names())
def test_scan_is_the_loop(golden, name):
    sampler, steps = samplers.load(name), 7
    keys = sampling.image_keys(jax.random.key(3), jnp.arange(2))
    x = sampling.initial_noise(keys, (6, 6, 4))
    out = jax.jit(
        lambda x, keys: sampling.sample(sampler, recorded_model, x, keys, steps)
    )(x, keys)
    plan, state = sampler.plan(steps), sampling.State(x, jnp.zeros_like(x))
    for i in range(steps):
        output = recorded_model(state.x, jnp.full((2,), plan.timesteps[i] * 1.0))
        noise = sampling.normal(keys, i + 1, (6, 6, 4))
        state = sampler.step(plan.row(i), state, output, noise)
    assert error(out, state.x) < SINGLE


@pytest.mark.parametrize("name", samplers.names())
@pytest.mark.parametrize("start", [0, 3])
def test_parts_are_the_whole(name, start):
    """Of a table with rows to spare, in uneven parts, the first steps left out."""
    sampler, steps = samplers.load(name), 7
    keys = sampling.image_keys(jax.random.key(3), jnp.arange(2))
    x = sampling.initial_noise(keys, (6, 6, 4))
    whole = sampling.sample(sampler, recorded_model, x, keys, steps, start)
    plan = sampler.plan(steps).since(start)
    table = sampling.Plan(*(jnp.asarray(np.pad(c, (0, 3)), "float32") for c in plan))
    state, bounds = sampling.begin(x), [0, 1, 3, steps - start]
    for first, stop in itertools.pairwise(bounds):
        limits = (jnp.int32(n) for n in (first, stop, start))
        state = sampling.sample_part(
            sampler, recorded_model, state, keys, table, *limits, plan.stochastic
        )
    np.testing.assert_array_equal(state.x, whole)


@pytest.mark.parametrize("name", ["ddpm", "ddim", "dpm"])
def test_an_image_does_not_depend_on_its_batch(name):
    sampler = samplers.load(name, **({"eta": 0.6} if name == "ddim" else {}))

    def draw(ids):
        keys = sampling.image_keys(jax.random.key(3), jnp.asarray(ids))
        x = sampling.initial_noise(keys, (4, 4, 2))
        return np.asarray(sampling.sample(sampler, recorded_model, x, keys, 5))

    together = draw([4, 9, 2])
    assert np.allclose(draw([9])[0], together[1], rtol=1e-6, atol=1e-6)
    assert np.abs(together[0] - together[1]).max() > 0.1


@pytest.mark.parametrize("name", samplers.names())
@pytest.mark.parametrize("kind", ["eps", "v", "x0"])
@pytest.mark.parametrize(("steps", "start"), [(1, 0), (2, 0), (20, 0), (20, 8)])
def test_a_perfect_denoiser_is_followed_home(name, kind, steps, start):
    """If the model knows the clean image, every sampler ends on it.

    From noise alone, or from another image under noise.
    """
    schedule = schedules.Schedule()
    sampler = samplers.load(name, prediction=kind)
    clean = jax.random.normal(jax.random.key(1), (2, 4, 4, 3))

    def oracle(x, t):
        t = t.astype(jnp.int32)
        signal = schedules.at(schedule.signal, t, 4)
        sigma = schedules.at(schedule.sigma, t, 4)
        noise = (x - signal * clean) / sigma
        return {"eps": noise, "x0": clean, "v": signal * noise - sigma * clean}[kind]

    keys = sampling.image_keys(jax.random.key(3), jnp.arange(2))
    other, share = sampling.mixture(sampler, steps, start)
    x = sampling.initial_noise(keys, (4, 4, 3))
    x = share * x + other * jnp.ones_like(x)
    out = sampling.sample(sampler, oracle, x, keys, steps, start)
    assert error(out, clean) < COMPOSED


@pytest.mark.parametrize("name", samplers.names())
def test_a_source_is_under_as_much_noise_as_the_step_expects(name):
    sampler = samplers.load(name)
    assert sampling.mixture(sampler, 10, 0) == (0.0, 1.0)
    assert sampling.mixture(sampler, 10, 10) == (1.0, 0.0)
    shares = np.array([sampling.mixture(sampler, 10, i) for i in range(1, 10)])
    assert np.allclose((shares**2).sum(axis=1), 1) and (np.diff(shares[:, 0]) > 0).all()
    cut, plan = sampler.plan(10).since(4), sampler.plan(10)
    assert cut.before[0] == 0 and np.allclose(
        cut.clean[0], (plan.clean + plan.before)[4]
    )
    assert np.array_equal(cut.clean[1:], plan.clean[5:])


def test_ddim_at_eta_one_is_ddpm():
    first, second = (
        samplers.load("ddim", eta=1.0).plan(10),
        samplers.load("ddpm").plan(10),
    )
    for column, other in zip(first, second):
        assert np.allclose(column, other, atol=1e-12)


def test_guided_denoiser_puts_the_unconditional_half_first():
    seen = []

    def denoise(x, t, condition):
        seen.append(x.shape[0])
        return x + condition["text"][:, None, None, None] + 0 * t[:, None, None, None]

    x, t = jnp.ones((2, 4, 4, 1)), jnp.zeros((2,))
    empty, text = {"text": jnp.zeros((2,))}, {"text": jnp.ones((2,))}
    out = guidance.classifier_free(denoise, empty, text, 6.0)(x, t)
    assert np.allclose(out, 1 + 6.0)
    plain = guidance.classifier_free(denoise, empty, text, 1.0)(x, t)
    assert np.allclose(plain, 2.0)
    assert seen == [4, 2]


def test_rescaled_denoiser_keeps_the_conditional_contrast():
    def denoise(x, t, condition):
        return x * condition[:, None, None, None] + 0 * t[:, None, None, None]

    x, t = jax.random.normal(jax.random.key(0), (2, 4, 4, 1)), jnp.zeros((2,))
    low, high = jnp.full((2,), 0.5), jnp.ones((2,))
    out = guidance.classifier_free(denoise, low, high, 6.0, rescale_amount=1.0)(x, t)
    assert np.allclose(np.std(out, axis=(1, 2, 3)), np.std(x, axis=(1, 2, 3)), 1e-5)


def test_mistakes_are_named():
    with pytest.raises(BridgeError, match="'euler' is unknown: use one of ddim"):
        samplers.load("euler")
    with pytest.raises(BridgeError, match="'ddpm' has no option eta"):
        samplers.load("ddpm", eta=0.5)
    with pytest.raises(BridgeError, match="eta 2.0 is out of range"):
        samplers.load("ddim", eta=2.0)
    for name in samplers.names():
        with pytest.raises(BridgeError, match="choose 1 to 999"):
            samplers.load(name).plan(1000)
        assert samplers.load(name).plan(999).timesteps.max() <= 999
        with pytest.raises(BridgeError, match="choose 1 to 999"):
            samplers.load(name).plan(0)
