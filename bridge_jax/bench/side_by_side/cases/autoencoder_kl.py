"""The image autoencoder against diffusers.

encode   pictures to the means of their latents
decode   latents to pictures
train    a step there and back, through noise, all parameters
"""

import numpy as np

from bridge_jax.bench.side_by_side.case import SMALL, Case, Side, Task
from bridge_jax.models.autoencoder_kl.config import SIZES as PUBLISHED
from bridge_jax.models.autoencoder_kl.config import Config

ROWS = 2
KL_WEIGHT = 1e-4
SIZES = {
    "tiny": PUBLISHED["tiny"],
    "small": Config((64, 128, 128, 256), 1, 4, 32, 0.13025),
    "medium": Config((96, 192, 384, 384), 2, 4, 32, 0.13025),
    "g2": PUBLISHED["sdxl"],
}
SIDES = {"tiny": 64, "small": 128, "medium": 128, "g2": 512}  # pixels


def _images(size: str) -> np.ndarray:
    """float32 [ROWS, side, side, 3] in [-1, 1]."""
    side = SIDES[size]
    rng = np.random.default_rng(0)
    return rng.uniform(-1, 1, (ROWS, side, side, 3)).astype(np.float32)


def _latents(size: str) -> np.ndarray:
    """float32 [ROWS, h, w, C]."""
    config = SIZES[size]
    side = SIDES[size] // config.factor
    shape = (ROWS, side, side, config.latent_channels)
    return np.random.default_rng(0).standard_normal(shape, np.float32)


def _batch(size: str) -> dict[str, np.ndarray]:
    """Pictures, and noise as large as their latents."""
    return {"images": _images(size), "noise": _latents(size)}


def _encoded(task: Task) -> Side:
    from bridge_jax.bench.side_by_side import ours

    bundle, params = ours.load(task, "autoencoder_kl")

    def encode(params, images):
        return bundle.apply("vae", params, images, method="encode")[0]

    return ours.forward(encode, params, _images(task.size))


def _decoded(task: Task) -> Side:
    from bridge_jax.bench.side_by_side import ours

    bundle, params = ours.load(task, "autoencoder_kl")

    def decode(params, latents):
        return bundle.apply("vae", params, latents, method="decode")

    return ours.forward(decode, params, _latents(task.size))


def _trained(task: Task) -> Side:
    from bridge_jax.bench.side_by_side import ours
    from bridge_jax.core import term
    from bridge_jax.objectives import autoencoder

    bundle, params = ours.load(task, "autoencoder_kl")

    def loss(params, batch):
        drawn, mean, logvar = bundle.apply("vae", params, **batch)
        error, pixels = autoencoder.squared_error(drawn, batch["images"])
        kl, values = autoencoder.kl_divergence(mean, logvar)
        return term.Term(error + KL_WEIGHT * kl * (pixels / values), pixels)

    return ours.train(params, _batch(task.size), loss)


def _they_encode(task: Task) -> Side:
    from bridge_jax.bench.side_by_side.peers import diffusion, sides

    model = sides.made(task, lambda: diffusion.autoencoder_kl(SIZES[task.size]))
    feed = sides.given(task, {"images": sides.to_nchw(_images(task.size))})
    side = sides.forward(task, lambda: model.encode(feed["images"]).latent_dist.mean)
    return Side(side.run, lambda out: {"out": sides.array(out).transpose(0, 2, 3, 1)})


def _they_decode(task: Task) -> Side:
    from bridge_jax.bench.side_by_side.peers import diffusion, sides

    model = sides.made(task, lambda: diffusion.autoencoder_kl(SIZES[task.size]))
    feed = sides.given(task, {"latents": sides.to_nchw(_latents(task.size))})
    side = sides.forward(task, lambda: model.decode(feed["latents"]).sample)
    return Side(side.run, lambda out: {"out": sides.array(out).transpose(0, 2, 3, 1)})


def _they_train(task: Task) -> Side:
    from bridge_jax.bench.side_by_side.peers import diffusion, sides

    model = sides.made(task, lambda: diffusion.autoencoder_kl(SIZES[task.size]))
    batch = {name: sides.to_nchw(one) for name, one in _batch(task.size).items()}
    feed = sides.given(task, batch)

    def loss():
        latents = model.encode(feed["images"]).latent_dist
        drawn = model.decode(latents.mean + latents.std * feed["noise"]).sample
        kl = latents.kl().sum() / latents.mean.numel()
        return sides.mse(drawn, feed["images"]) + KL_WEIGHT * kl

    return sides.train(task, model, loss)


def _rows(size: str) -> int:
    return ROWS


_ONE_CARD = (*SMALL, "g2")
CASES = {
    "encode": Case(_encoded, _they_encode, _rows, "picture", sizes=_ONE_CARD),
    "decode": Case(_decoded, _they_decode, _rows, "picture", sizes=_ONE_CARD),
    "train": Case(_trained, _they_train, _rows, "picture", sizes=_ONE_CARD),
}
