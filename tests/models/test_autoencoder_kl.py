"""The image autoencoder alone: shapes, weight names, masks of influence, objectives."""

import dataclasses
import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import miniature
import numpy as np
import pytest

from bridge_jax.core import weights as core_weights
from bridge_jax.core.errors import BridgeError
from bridge_jax.layers import convolution, resnet
from bridge_jax.models.autoencoder_kl import config as configs
from bridge_jax.models.autoencoder_kl import model, weights
from bridge_jax.objectives import autoencoder

SMALL = dataclasses.replace(
    configs.SIZES["tiny"],
    block_out_channels=(4, 8),
    norm_groups=2,
    latent_channels=3,
)


def boxed_shapes(config, side=16):
    """Parameters as shapes in their boxes of axis names; nothing is computed."""
    images = jnp.zeros((1, side, side, 3))
    init = model.AutoencoderKL(config).init
    return jax.eval_shape(init, jax.random.key(0), images)["params"]


@pytest.fixture(scope="module")
def small():
    """(module, unboxed variables, images [2, 8, 12, 3])."""
    module = model.AutoencoderKL(SMALL)
    images = np.random.default_rng(1).uniform(-1, 1, (2, 8, 12, 3)).astype("float32")
    params = miniature.drawn(nn.meta.unbox(boxed_shapes(SMALL)))
    return module, {"params": params}, images


def test_tiny_turns_64_pixels_into_8_by_8_latents():
    config = configs.SIZES["tiny"]
    module = model.AutoencoderKL(config)
    images = jnp.zeros((2, 64, 64, 3))
    (out, mean, logvar), _ = jax.eval_shape(
        lambda x: module.init_with_output(jax.random.key(0), x), images
    )
    assert out.shape == images.shape
    assert mean.shape == logvar.shape == (2, 8, 8, config.latent_channels)
    assert config.factor == 8


def test_published_size_traces_and_counts_its_parameters():
    module = model.AutoencoderKL(configs.SIZES["sdxl"])
    (out, mean, _), variables = jax.eval_shape(
        lambda x: module.init_with_output(jax.random.key(0), x),
        jnp.zeros((1, 256, 256, 3)),
    )
    assert out.shape == (1, 256, 256, 3) and mean.shape == (1, 32, 32, 4)
    leaves = jax.tree.leaves(nn.meta.unbox(variables))
    # https://huggingface.co/stabilityai/sdxl-vae holds 83.7 M parameters
    assert sum(math.prod(leaf.shape) for leaf in leaves) == 83_653_863


def test_every_parameter_names_its_axes():
    boxed = jax.tree.leaves(
        boxed_shapes(SMALL), is_leaf=lambda x: isinstance(x, nn.LogicallyPartitioned)
    )
    assert boxed
    assert all(isinstance(leaf, nn.LogicallyPartitioned) for leaf in boxed)
    assert all(len(leaf.names) == leaf.value.ndim for leaf in boxed)


@pytest.mark.parametrize("size", ["tiny", "small"])
def test_weight_table_round_trips_bit_for_bit(size):
    config = {"small": SMALL, **configs.SIZES}[size]
    rng = np.random.default_rng(0)
    params = jax.tree.map(
        lambda leaf: rng.normal(size=leaf.shape).astype(np.float32),
        nn.meta.unbox(boxed_shapes(config)),
    )
    table = weights.rules(config)
    tensors = core_weights.to_reference(table, params)
    assert tensors["encoder.conv_in.weight"].shape[1:] == (3, 3, 3)
    again = core_weights.to_flax(table, tensors, template=params)
    jax.tree.map(np.testing.assert_array_equal, again, params)


def gradients(module, variables, images):
    """Of the first picture, by parameters and by pixels."""

    def squares(variables, images):
        return jnp.sum(jnp.square(module.apply(variables, images)[0][0]))

    return jax.jit(jax.grad(squares, argnums=(0, 1)))(variables, images)


@pytest.fixture(scope="module")
def plain_gradients(small):
    return gradients(*small)


def test_one_image_does_not_touch_another(plain_gradients):
    _, by_pixels = plain_gradients
    reached = np.abs(by_pixels).max(axis=(1, 2, 3))
    assert reached[0] > 0 and reached[1] == 0


def test_downsampling_pads_bottom_and_right_only():
    module = resnet.Downsample(1)
    x = jnp.ones((1, 6, 6, 1))
    variables = nn.meta.unbox(module.init(jax.random.key(0), x))

    def seen(row, column):
        value = jax.grad(lambda x: module.apply(variables, x)[0, row, column, 0])(x)
        rows, columns = np.nonzero(np.asarray(value)[0, :, :, 0])
        return set(rows.tolist()), set(columns.tolist())

    assert seen(0, 0) == ({0, 1, 2}, {0, 1, 2})
    assert seen(2, 2) == ({4, 5}, {4, 5})


def test_nearest_repeats_pixels():
    x = jnp.asarray([[1.0, 2.0], [3.0, 4.0]])[None, :, :, None]
    expected = np.kron(np.asarray(x)[0, :, :, 0], np.ones((2, 2)))
    np.testing.assert_array_equal(convolution.nearest(x)[0, :, :, 0], expected)


def test_noise_moves_the_reconstruction_by_the_deviation(small):
    module, variables, images = small
    run = jax.jit(module.apply)
    decode = jax.jit(lambda latents: module.apply(variables, latents, method="decode"))
    out, mean, logvar = run(variables, images)
    exact = decode(mean)
    np.testing.assert_allclose(out, exact, rtol=0, atol=1e-5)
    noise = np.random.default_rng(2).normal(size=mean.shape).astype("float32")
    latents = np.asarray(mean) + np.exp(np.asarray(logvar) / 2) * noise
    noisy = run(variables, images, noise)[0]
    expected = decode(latents)
    np.testing.assert_allclose(noisy, expected, rtol=0, atol=1e-5)
    assert np.abs(noisy - out).max() > 1e-3


def test_log_variance_is_bounded(small):
    module, variables, images = small
    params = dict(variables["params"])
    params["quant"] = params["quant"] | {"kernel": params["quant"]["kernel"] * 1e6}
    encode = jax.jit(
        lambda params: module.apply({"params": params}, images, method="encode")
    )
    _, logvar = encode(params)
    assert logvar.min() == model.LOGVAR_MIN and logvar.max() == model.LOGVAR_MAX


def test_fresh_latents_are_almost_free_of_noise():
    module = model.AutoencoderKL(SMALL)

    @jax.jit
    def fresh(key):
        made = nn.meta.unbox(module.init(key, jnp.zeros((1, 16, 16, 3))))
        return made["params"]["quant"]["bias"]

    means, logvars = np.split(fresh(jax.random.key(0)), 2)
    assert (means == 0).all() and (logvars == model.LOGVAR_START).all()


def test_recomputing_blocks_changes_nothing(small, plain_gradients):
    _, variables, images = small
    again = model.AutoencoderKL(dataclasses.replace(SMALL, remat="block"))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4),
        gradients(again, variables, images),
        plain_gradients,
    )


def test_half_precision_keeps_moments_in_float32(small):
    _, variables, images = small
    module = model.AutoencoderKL(dataclasses.replace(SMALL, dtype="bfloat16"))
    out, mean, logvar = jax.eval_shape(module.apply, variables, images)
    assert out.dtype == jnp.bfloat16
    assert mean.dtype == logvar.dtype == jnp.float32


def test_sides_must_be_multiples_of_the_factor(small):
    module, variables, _ = small
    with pytest.raises(BridgeError, match="7 x 8 pixels.*multiples of 2"):
        module.apply(variables, jnp.zeros((1, 7, 8, 3)), method="encode")


@pytest.mark.parametrize(
    ("change", "message"),
    [({"norm_groups": 3}, r"does not divide.*\[4, 8\]"), ({"remat": "all"}, "all")],
)
def test_impossible_configs_are_refused(change, message):
    with pytest.raises(BridgeError, match=message):
        dataclasses.replace(SMALL, **change)


def test_reconstruction_errors_are_sums_with_weights():
    images = jnp.zeros((2, 4, 4, 3))
    out = jnp.full((2, 4, 4, 3), -0.5)
    value, weight = autoencoder.absolute_error(out, images)
    assert (float(value), float(weight)) == (48.0, 96.0)
    value, weight = autoencoder.squared_error(out.astype(jnp.bfloat16), images)
    assert (float(value), float(weight)) == (24.0, 96.0)
    assert value.dtype == weight.dtype == jnp.float32


def test_divergence_of_the_standard_normal_is_zero():
    zeros = jnp.zeros((2, 2, 2, 3))
    value, weight = autoencoder.kl_divergence(zeros, zeros)
    assert (float(value), float(weight)) == (0.0, 24.0)
    value, _ = autoencoder.kl_divergence(zeros + 2.0, zeros + math.log(4.0))
    np.testing.assert_allclose(value, 24 * 0.5 * (4 + 4 - 1 - math.log(4)), rtol=1e-6)


def test_divergence_of_halves_adds_up():
    draw = np.random.default_rng(0)
    mean, logvar = draw.normal(size=(2, 4, 2, 2, 3)).astype("float32")
    whole = autoencoder.kl_divergence(mean, logvar)
    halves = [
        autoencoder.kl_divergence(mean[i], logvar[i])
        for i in (slice(None, 2), slice(2, None))
    ]
    total = jax.tree.map(lambda a, b: a + b, *halves)
    np.testing.assert_allclose(total, whole, rtol=1e-6)
