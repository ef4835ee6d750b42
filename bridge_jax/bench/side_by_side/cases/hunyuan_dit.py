"""HunyuanDiT against diffusers.

step     one forward pass from latents and text states
train    a step of v-prediction, all parameters
sample   DDIM steps under guidance from the same noise, then the autoencoder
"""

import dataclasses
from typing import Any

import numpy as np

from bridge_jax.bench.side_by_side.case import SMALL, Case, Side, Task
from bridge_jax.bench.side_by_side.cases import autoencoder_kl
from bridge_jax.models.hunyuan_dit import rotary
from bridge_jax.models.hunyuan_dit.config import Config

STEPS, GUIDANCE = 25, 6.0
ROWS = {"step": 4, "train": 4, "sample": 2}
_SHARED = dict(mlp_ratio=4.0, input_size=64, clip_length=77)
SIZES = {
    "tiny": Config(
        **_SHARED,
        hidden=256,
        heads=8,
        depth=8,
        in_channels=8,
        clip_dim=128,
        t5_dim=128,
        t5_length=36,
        t5_mlp_hidden=512,
        pooler_out=256,
    ),
    "small": Config(
        **_SHARED,
        hidden=384,
        heads=6,
        depth=8,
        clip_dim=256,
        t5_dim=256,
        t5_length=128,
        t5_mlp_hidden=1024,
        pooler_out=384,
    ),
    "medium": Config(
        **_SHARED,
        hidden=768,
        heads=12,
        depth=12,
        clip_dim=512,
        t5_dim=512,
        t5_length=256,
        t5_mlp_hidden=2048,
        pooler_out=512,
    ),
    "g2": Config(),
}
LATENT = {"tiny": 8, "small": 16, "medium": 32, "g2": 64}  # a side


def _given(size: str, rows: int) -> dict[str, np.ndarray]:
    """Latents, timesteps and the states of two texts a row: a wanted one and none."""
    config, side = SIZES[size], LATENT[size]
    rng = np.random.default_rng(0)

    def normal(*shape: int) -> np.ndarray:
        return rng.standard_normal((rows, *shape), np.float32)

    def texts() -> dict[str, np.ndarray]:
        made = {}
        for name in ("clip", "t5"):
            length = getattr(config, f"{name}_length")
            mask = np.ones((rows, length), np.int32)
            mask[:, length // 2 :] = 0
            made[f"{name}_states"] = normal(length, getattr(config, f"{name}_dim"))
            made[f"{name}_mask"] = mask
        return made

    return {
        "latents": normal(side, side, config.in_channels),
        "target": normal(side, side, config.in_channels),
        "timesteps": np.linspace(10, 900, rows, dtype=np.float32),
        **texts(),
        **{f"no_{name}": one for name, one in texts().items()},
    }


_FORWARD = (
    "latents",
    "timesteps",
    "clip_states",
    "clip_mask",
    "t5_states",
    "t5_mask",
)


def _stepped(task: Task) -> Side:
    from bridge_jax.bench.side_by_side import ours

    bundle, params = ours.load(task, "hunyuan_dit_diffusers")
    given = _given(task.size, ROWS["step"])

    def predict(params, given):
        return bundle.apply("dit", params, **given)

    return ours.forward(predict, params, {name: given[name] for name in _FORWARD})


def _trained(task: Task) -> Side:
    import jax.numpy as jnp

    from bridge_jax.bench.side_by_side import ours
    from bridge_jax.core import term
    from bridge_jax.diffusion import targets

    bundle, params = ours.load(task, "hunyuan_dit_diffusers")
    given = _given(task.size, ROWS["train"])
    channels = bundle["dit"].config.in_channels

    def loss(params, batch):
        feed = {name: batch[name] for name in _FORWARD}
        out = bundle.apply("dit", params, **feed)
        prediction, _ = targets.split_variance(out, channels)
        error = jnp.square(prediction - batch["target"])
        return term.Term(jnp.sum(error), jnp.float32(error.size))

    return ours.train(params, given, loss)


def _sampled(task: Task) -> Side:
    import jax
    import jax.numpy as jnp

    from bridge_jax.bench.side_by_side import ours
    from bridge_jax.diffusion import guidance, samplers, sampling, targets

    bundle, params = ours.load(task, "hunyuan_dit_diffusers", "dit")
    painter, colours = ours.load(task, "autoencoder_kl", "vae")
    given = _given(task.size, ROWS["sample"])
    sampler = samplers.load("ddim")
    names = ("clip_states", "clip_mask", "t5_states", "t5_mask")

    def draw(params, colours, given):
        def texts(prefix: str) -> Any:
            states = [given[f"{prefix}{name}"] for name in names]
            return bundle.apply("dit", params, *states, method="encode_text")

        def denoise(x, t, condition):
            out = bundle.apply("dit", params, x, t, condition, method="denoise")
            return targets.split_variance(out, x.shape[-1])[0]

        guided = guidance.classifier_free(denoise, texts("no_"), texts(""), GUIDANCE)
        noise = given["latents"]
        keys = jax.random.split(jax.random.key(0), noise.shape[0])
        latents = sampling.sample(sampler, guided, noise, keys, STEPS)
        latents = latents / painter["vae"].config.scaling_factor
        pixels = painter.apply("vae", colours, latents, method="decode")
        return jnp.clip(pixels / 2 + 0.5, 0, 1)

    return ours.forward(draw, params, colours, given)


def _theirs(task: Task, name: str = "") -> Any:
    from bridge_jax.bench.side_by_side.peers import diffusion, sides

    return sides.made(task, lambda: diffusion.hunyuan_dit(SIZES[task.size]), name)


def _prediction(task: Task, model: Any, feed: Any) -> Any:
    """What the model makes of latents in torch's order, variance values and all."""
    from bridge_jax.bench.side_by_side.peers import sides

    side = LATENT[task.size] // SIZES[task.size].patch
    config = SIZES[task.size]
    turns = rotary.tables(side, side, config.head_dim, config.base_grid)
    cos, sin = sides.given(
        task, {str(i): np.array(one[0, 0]) for i, one in enumerate(turns)}
    ).values()
    return lambda: (
        model(
            feed["latents"],
            feed["timesteps"],
            encoder_hidden_states=feed["clip_states"],
            text_embedding_mask=feed["clip_mask"],
            encoder_hidden_states_t5=feed["t5_states"],
            text_embedding_mask_t5=feed["t5_mask"],
            image_rotary_emb=(cos, sin),
        ).sample
    )


def _feed(task: Task, rows: int) -> Any:
    from bridge_jax.bench.side_by_side.peers import sides

    given = _given(task.size, rows)
    for name in ("latents", "target"):
        given[name] = sides.to_nchw(given[name])
    return sides.given(task, given)


def _they_step(task: Task) -> Side:
    from bridge_jax.bench.side_by_side.peers import sides

    feed = _feed(task, ROWS["step"])
    side = sides.forward(task, _prediction(task, _theirs(task), feed))
    return Side(side.run, lambda out: {"out": sides.array(out).transpose(0, 2, 3, 1)})


def _they_train(task: Task) -> Side:
    from bridge_jax.bench.side_by_side.peers import sides

    feed, model = _feed(task, ROWS["train"]), _theirs(task)
    predict = _prediction(task, model, feed)
    channels = SIZES[task.size].in_channels
    return sides.train(
        task, model, lambda: sides.mse(predict()[:, :channels], feed["target"])
    )


def _they_sample(task: Task) -> Side:
    from bridge_jax.bench.side_by_side.peers import diffusion, sides

    dit = _theirs(task, "dit")
    config = autoencoder_kl.SIZES[task.size]
    vae = sides.made(task, lambda: diffusion.autoencoder_kl(config), "vae")
    if task.compiled:
        dit.forward = sides.compiled(task, dit.forward)
    pipeline = diffusion.pipeline(dit, vae)
    feed = _feed(task, ROWS["sample"])
    pixels = LATENT[task.size] * config.factor
    texts = {}
    for prefix, negative in (("", ""), ("no_", "negative_")):
        for name, number in (("clip", ""), ("t5", "_2")):
            states = feed[f"{prefix}{name}_states"]
            texts[f"{negative}prompt_embeds{number}"] = states
            mask = feed[f"{prefix}{name}_mask"]
            texts[f"{negative}prompt_attention_mask{number}"] = mask

    def draw():
        return pipeline(
            **texts,
            height=pixels,
            width=pixels,
            num_inference_steps=STEPS,
            guidance_scale=GUIDANCE,
            latents=feed["latents"],
            use_resolution_binning=False,
            output_type="pt",
        ).images

    # What the pipeline calls is compiled already.
    side = sides.forward(dataclasses.replace(task, compiled=False), draw)
    return Side(side.run, lambda out: {"out": sides.array(out).transpose(0, 2, 3, 1)})


def _pictures(work: str):
    return lambda size: ROWS[work]


_ONE_CARD = (*SMALL, "g2")
CASES = {
    "step": Case(_stepped, _they_step, _pictures("step"), "picture", sizes=_ONE_CARD),
    "train": Case(
        _trained,
        _they_train,
        _pictures("train"),
        "picture",
        sizes=_ONE_CARD,
    ),
    "sample": Case(
        _sampled,
        _they_sample,
        _pictures("sample"),
        "picture",
        wanted=1.2,
        tolerance=1e-3,
        sizes=("tiny", "small", "g2"),  # a medium picture takes a minute
    ),
}
