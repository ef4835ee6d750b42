"""Training losses: what they train and how sums merge; numbers are parity's."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bridge_jax.core.errors import BridgeError
from bridge_jax.diffusion import loss, schedules

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"
SCHEDULE = schedules.Schedule()


# case -> (loss, prediction kind, whether the variance is learned)
@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN / "diffusion.npz") as file:
        return dict(file)


def nhwc(array):
    return jnp.asarray(array.transpose(0, 2, 3, 1))


def batch(golden):
    x0, noise = nhwc(golden["in/x0"]), nhwc(golden["in/noise"])
    return x0, noise, jnp.asarray(golden["in/t"])


def output_of(golden, learned):
    parts = [golden["in/model_v"], golden["in/model_var"]]
    return nhwc(np.concatenate(parts[: 1 + learned], axis=1))


def test_the_bound_of_hybrid_trains_only_the_variance(golden):
    def bound_alone(output):
        arguments = (SCHEDULE, "v", output, *batch(golden))
        hybrid, mse = loss.hybrid(*arguments), loss.mse(*arguments)
        return jnp.sum(hybrid.value_sum) - jnp.sum(jax.tree.map(freeze, mse).value_sum)

    def freeze(x):
        return jax.lax.stop_gradient(x)

    def mse_alone(output):
        found = loss.mse(SCHEDULE, "v", output, *batch(golden))
        return jnp.sum(found.value_sum)

    output = output_of(golden, True)
    channels = output.shape[-1] // 2
    total, plain = jax.grad(bound_alone)(output), jax.grad(mse_alone)(output)
    assert np.array_equal(total[..., :channels], plain[..., :channels])
    assert np.all(plain[..., channels:] == 0)
    assert np.any(total[..., channels:] != 0)


def test_sums_merge_exactly(golden):
    x0, noise, t = batch(golden)
    output = output_of(golden, False)
    whole = loss.mse(SCHEDULE, "v", output, x0, noise, t)
    halves = [
        loss.mse(SCHEDULE, "v", output[rows], x0[rows], noise[rows], t[rows])
        for rows in (slice(0, 2), slice(2, None))
    ]
    merged = np.concatenate([half.value_sum for half in halves])
    assert np.allclose(merged, whole.value_sum, rtol=1e-6)
    assert whole.weight.tolist() == [x0[0].size] * 5


def test_bfloat16_outputs_lose_no_more_than_themselves(golden):
    output = output_of(golden, True).astype(jnp.bfloat16)
    for name in loss.LOSSES:
        found = loss.named(name)(SCHEDULE, "v", output, *batch(golden))
        again = loss.named(name)(
            SCHEDULE, "v", output.astype(jnp.float32), *batch(golden)
        )
        assert found.value_sum.dtype == jnp.float32
        assert np.array_equal(found.value_sum, again.value_sum)


def test_mistakes_are_named(golden):
    with pytest.raises(BridgeError, match="'l1' is unknown: use one of mse"):
        loss.named("l1")
    with pytest.raises(BridgeError, match="4 output channels, not 8"):
        loss.kl(SCHEDULE, "v", output_of(golden, False), *batch(golden))
