"""Whole sampling runs against diffusers' schedulers, with a model that is a formula."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bridge_jax.diffusion import samplers, sampling, schedules

pytestmark = [
    pytest.mark.parity,
    # diffusers hands torch tensors to numpy in a way that numpy 2 frowns upon.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]
torch = pytest.importorskip("torch", reason="torch is a test-only oracle")
diffusers = pytest.importorskip("diffusers")

from living import error

SHAPE = (2, 4, 4, 3)
COMPOSED = 1e-4
BETAS = {
    "num_train_timesteps": 1000,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "beta_end": 0.02,
    "prediction_type": "v_prediction",
}
THEIRS = {
    "ddim": lambda: diffusers.DDIMScheduler(**BETAS, clip_sample=False, steps_offset=1),
    "dpm": lambda: diffusers.DPMSolverMultistepScheduler(
        **BETAS, solver_order=2, final_sigmas_type="zero"
    ),
}


def velocity(x, t):
    """Any smooth function of the state and the time will do."""
    return 0.3 * x * (1 - t / 1500.0) + 0.1 * (x * x) / (1 + abs(x))


@pytest.mark.parametrize("steps", [10, 25])
@pytest.mark.parametrize("name", sorted(THEIRS))
def test_deterministic_samplers(name, steps):
    noise = np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)
    theirs = THEIRS[name]()
    theirs.set_timesteps(steps)
    ours = samplers.load(name)
    assert ours.timesteps(steps).tolist() == theirs.timesteps.tolist()
    x = torch.from_numpy(noise)
    for t in theirs.timesteps:
        x = theirs.step(velocity(x, float(t)), t, x).prev_sample
    keys = jax.random.split(jax.random.key(0), SHAPE[0])

    def denoise(x, t):
        return velocity(x, jnp.reshape(t, (-1, 1, 1, 1)))

    made = sampling.sample(ours, denoise, jnp.asarray(noise), keys, steps)
    assert error(made, x) < COMPOSED


def test_ddpm_means_and_spreads():
    """Step by step: the mean is theirs, and so is the deviation of the noise."""
    theirs = diffusers.DDPMScheduler(**BETAS, clip_sample=False, steps_offset=1)
    theirs.set_timesteps(20)
    ours = samplers.load("ddpm")
    assert ours.timesteps(20).tolist() == theirs.timesteps.tolist()
    plan = ours.plan(20)
    draw = np.random.default_rng(1)
    for i, t in enumerate(theirs.timesteps):
        x = draw.standard_normal(SHAPE).astype(np.float32)
        v = draw.standard_normal(SHAPE).astype(np.float32)
        out = theirs.step(
            torch.from_numpy(v),
            t,
            torch.from_numpy(x),
            generator=torch.Generator().manual_seed(i),
        ).prev_sample
        noise = torch.randn(SHAPE, generator=torch.Generator().manual_seed(i))
        signal, sigma = float(plan.signal[i]), float(plan.sigma[i])
        x0 = signal * x - sigma * v
        mine = float(plan.keep[i]) * x + float(plan.clean[i]) * x0
        mine += float(plan.spread[i]) * noise.numpy()
        assert error(mine, out) < COMPOSED
    assert schedules.Schedule() == ours.schedule
