"""The image autoencoder against diffusers' AutoencoderKL at small random sizes."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bridge_jax.core import weights as core_weights
from bridge_jax.models.autoencoder_kl import config as configs
from bridge_jax.models.autoencoder_kl import model, weights

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from bridge_jax.bench.side_by_side.peers import diffusion as peers

pytestmark = pytest.mark.parity

TOLERANCE = 1e-4  # composed modules: largest error over largest magnitude
# No group has one channel only: norms would cancel the bias before them, and what is
# left of its gradient would be rounding.
CASES = {
    "widening": configs.Config((8, 16, 24), 2, 4, 4, 0.5),
    "equal widths": configs.Config((8, 8, 16, 16), 1, 8, 4, 1.0),
}


def disturb(reference):
    """Move every parameter off its default: norms and biases must matter too."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in reference.parameters():
            tensor += 0.1 * torch.randn(tensor.shape, generator=generator)


def to_nchw(array):
    return torch.from_numpy(np.ascontiguousarray(array.transpose(0, 3, 1, 2)))


def to_nhwc(tensor):
    return tensor.detach().numpy().transpose(0, 2, 3, 1)


def error(ours, theirs):
    theirs = np.asarray(theirs)
    return float(np.abs(np.asarray(ours) - theirs).max() / np.abs(theirs).max())


def reference_run(config, images, noise):
    """Outputs and parameter gradients of the oracle, in our layout and their names."""
    reference = peers.autoencoder_kl(config)
    disturb(reference)
    moments = reference.encode(to_nchw(images)).latent_dist
    latents = moments.mean + moments.std * to_nchw(noise)
    out = reference.decode(latents).sample
    loss = (out - to_nchw(images)).square().mean() + 0.01 * moments.kl().mean()
    loss.backward()
    outputs = {"mean": moments.mean, "logvar": moments.logvar, "image": out}
    named = dict(reference.named_parameters())
    return (
        {name: tensor.detach().numpy() for name, tensor in named.items()},
        {name: to_nhwc(tensor) for name, tensor in outputs.items()},
        {name: tensor.grad.numpy() for name, tensor in named.items()},
    )


def our_run(config, tensors, images, noise):
    module, table = model.AutoencoderKL(config), weights.rules(config)
    boxed = jax.eval_shape(module.init, jax.random.key(0), jnp.asarray(images))
    template = nn.meta.unbox(boxed)["params"]
    params = core_weights.to_flax(table, tensors, template=template)

    def loss(params):
        out, mean, logvar = module.apply(
            {"params": params}, jnp.asarray(images), jnp.asarray(noise)
        )
        kl = 0.5 * (jnp.square(mean) + jnp.exp(logvar) - 1.0 - logvar)
        value = jnp.mean(jnp.square(out - images)) + 0.01 * jnp.sum(kl) / len(images)
        return value, {"mean": mean, "logvar": logvar, "image": out}

    gradients, outputs = jax.jit(jax.grad(loss, has_aux=True))(params)
    return outputs, core_weights.to_reference(table, gradients)


@pytest.fixture(scope="module", params=CASES)
def runs(request):
    config = CASES[request.param]
    rng = np.random.default_rng(0)
    side = config.factor * 2
    images = rng.uniform(-1, 1, (2, side, side + config.factor, 3)).astype(np.float32)
    noise = rng.normal(size=(2, 2, 3, config.latent_channels)).astype(np.float32)
    tensors, outputs, gradients = reference_run(config, images, noise)
    return outputs, gradients, our_run(config, tensors, images, noise)


def test_moments_and_image_equal_the_oracle(runs):
    theirs, _, (ours, _) = runs
    errors = {name: error(ours[name], theirs[name]) for name in theirs}
    assert max(errors.values()) <= TOLERANCE, errors


def test_gradients_equal_the_oracle(runs):
    _, theirs, (_, ours) = runs
    assert set(ours) == set(theirs)
    # A key bias shifts all scores of a query alike, so its gradient is only rounding.
    live = [name for name in theirs if not name.endswith("to_k.bias")]
    errors = {name: error(ours[name], theirs[name]) for name in live}
    assert max(errors.values()) <= TOLERANCE, errors


def test_one_percent_of_disturbance_is_seen(runs):
    theirs, gradients, (ours, our_gradients) = runs
    for name, value in theirs.items():
        assert error(np.asarray(ours[name]) * 1.01, value) > TOLERANCE
    for name, value in gradients.items():
        assert error(our_gradients[name] * 1.01, value) > TOLERANCE


def test_published_names_and_shapes_equal_the_oracle():
    config = configs.SIZES["sdxl"]
    with torch.device("meta"):
        reference = peers.autoencoder_kl(config)
    theirs = {name: tuple(t.shape) for name, t in reference.state_dict().items()}
    table = weights.rules(config)
    module = model.AutoencoderKL(config)
    boxed = jax.eval_shape(
        module.init, jax.random.key(0), jnp.zeros((1, 64, 64, 3), jnp.float32)
    )
    ours = core_weights.flatten(nn.meta.unbox(boxed)["params"])
    assert {rule.path for rule in table} == set(ours)
    assert {rule.reference for rule in table} == set(theirs)
    permuted = {"conv2d": (3, 2, 0, 1), "transpose": (1, 0), "conv1x1": (1, 0)}
    for rule in table:
        shape = ours[rule.path].shape
        if rule.transform in permuted:
            shape = tuple(shape[axis] for axis in permuted[rule.transform])
        assert shape == theirs[rule.reference][: len(shape)], rule.reference
