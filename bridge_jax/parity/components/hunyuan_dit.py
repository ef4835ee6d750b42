"""The latent diffusion decoder and what conditions it."""

import functools
import re
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from bridge_jax.core import weights as tables
from bridge_jax.models.hunyuan_dit import config as config_lib
from bridge_jax.models.hunyuan_dit import embed, rotary, weights
from bridge_jax.models.hunyuan_dit.model import HunyuanDiT
from bridge_jax.models.hunyuan_dit.pooler import Pooler
from bridge_jax.parity.comparison import COMPOSED, EXACT, SINGLE, Value
from bridge_jax.parity.fixture import Fixture

LEFT_OUT: dict[str, str] = {}
TEXT = (
    "encoder_hidden_states",
    "text_embedding_mask",
    "encoder_hidden_states_t5",
    "text_embedding_mask_t5",
)
PUBLISHED_BASE = 32  # patches of 512 pixels by 8 by 2


def config(fixture: Fixture) -> config_lib.Config:
    c = fixture.config
    sizes = fixture.sizes(
        hidden="hidden",
        heads="heads",
        depth="depth",
        mlp_ratio="mlp_ratio",
        patch="patch",
        in_channels="in_channels",
        clip_dim="dim_clip",
        clip_length="len_clip",
        t5_dim="dim_t5",
        t5_length="len_t5",
        pooler_heads="pooler_heads",
        pooler_out="pooler_out",
        time_frequencies="freq_dim",
        learn_sigma="learn_sigma",
        qk_norm="qk_norm",
        norm_eps="ln_eps",
    )
    return config_lib.Config(
        input_size=c["base"] * c["patch"], t5_mlp_hidden=4 * c["dim_t5"], **sizes
    )


def rules(fixture: Fixture) -> list[list[tables.Rule]]:
    return [weights.rules(config(fixture))]


def compute(fixture: Fixture) -> Iterator[Value]:
    model = HunyuanDiT(config(fixture))
    [table] = rules(fixture)
    params = tables.to_flax(table, fixture.weights)
    text = [jnp.asarray(fixture[f"in/{name}"]) for name in TEXT]
    yield from _forward(fixture, model, table, params, text)
    yield from _conditions(fixture, model, params, text)
    yield from _rotary(fixture, model.config)


def _forward(fixture, model, table, params, text) -> Iterator[Value]:
    def square(params, x, t):
        out = model.apply({"params": params}, x, t, *text)
        return jnp.sum(jnp.square(out)), out

    step = jax.jit(jax.value_and_grad(square, has_aux=True))
    for name in fixture.below("out/"):
        case, _, last = name.rpartition("/")
        if last != "out":
            continue
        x = jnp.asarray(fixture[f"in/{case}/x"].transpose(0, 2, 3, 1))
        t = jnp.asarray(fixture[f"in/{case}/t"], jnp.float32)
        (_, out), gradients = step(params, x, t)
        out = np.asarray(out).transpose(0, 3, 1, 2)
        yield Value(f"out/{name}", out, COMPOSED)
        ours = tables.to_reference(table, gradients)
        for tensor in fixture.below(f"grad/{case}/"):
            yield Value(f"grad/{case}/{tensor}", ours[tensor], COMPOSED)


def _conditions(fixture, model, params, text) -> Iterator[Value]:
    t = jnp.asarray(fixture["in/t_list"], jnp.float32)
    found = jax.jit(functools.partial(_conditioned, model))(params, text, t)
    yield Value("out/text_states", found["states"], SINGLE)
    yield Value("out/pooled", found["pooled"], SINGLE)
    # exp, product and cosine: some of the reference's frequencies are one unit in the
    # last place off the true value, which t = 999 magnifies to 3e-5 of an angle.
    yield Value("out/t_emb_sinusoid", found["waves"], COMPOSED)
    yield Value("out/t_emb", found["times"], SINGLE)


def _conditioned(model, params, text, t) -> dict[str, jax.Array]:
    config = model.config
    pooler, time_embed = Pooler(config), embed.TimeEmbed(config)
    return {
        "states": model.apply({"params": params}, *text, method="encode_text").states,
        "pooled": pooler.apply({"params": params["pooler"]}, text[2]),
        "waves": embed.sinusoids(t, config.time_frequencies),
        "times": time_embed.apply({"params": params["time_embed"]}, t),
    }


def _rotary(fixture: Fixture, config: config_lib.Config) -> Iterator[Value]:
    for name in fixture.below("in/"):
        size, _, last = name.rpartition("/")
        if last != "rope_start_stop":
            continue
        height, width = (int(side) // config.patch for side in size.split("x"))
        corners = rotary.crop(config.base_grid, height, width)
        yield Value(f"in/{name}", np.asarray(corners), EXACT)
        tables = rotary.tables(height, width, config.head_dim, config.base_grid)
        for part, table in zip(("cos", "sin"), tables, strict=True):
            yield Value(f"out/{size}/{part}", table[0, 0], SINGLE)
    for group in ("rope_args", "calc_sizes"):
        for name, recorded in fixture.below(f"out/{group}/").items():
            grid = _grid(name, recorded)
            yield Value(f"out/{group}/{name}", grid, EXACT)


def _grid(name: str, recorded: np.ndarray) -> np.ndarray:
    """Corners and size [3, 2] for a size in pixels or patches; "extend": size alone."""
    height, width = map(int, re.search(r"(\d+)x(\d+)$", name).groups())
    if name.startswith("extend"):
        return np.array([[height, width]])
    base, is_patches = PUBLISHED_BASE, re.match(r"base(\d+)_p(\d+)_", name)
    if is_patches:
        pixels, patch = map(int, is_patches.groups())
        base = pixels // 8 // patch
    else:
        height, width = height // 16, width // 16
    corners = rotary.crop(base, height, width)
    return np.array([*corners, (height, width)])
