"""Qwen2-VL: weight names, remat, and every size traced; numbers are parity's."""

import dataclasses
import json
import pathlib

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bridge_jax.core import weights as tables
from bridge_jax.data import mrope, patches
from bridge_jax.models.qwen2_vl import weights
from bridge_jax.models.qwen2_vl.config import SIZES, Config, VisionConfig
from bridge_jax.models.qwen2_vl.model import Qwen2VL

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"
COMPOSED = 1e-4


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN / "qwen2_vl.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def config():
    sizes = json.loads((GOLDEN / "qwen2_vl.json").read_text())["config"]
    ids = sizes["ids"]
    return Config(
        vocab_size=sizes["vocab"],
        hidden_size=sizes["hidden"],
        layers=sizes["layers"],
        heads=sizes["heads"],
        kv_heads=sizes["kv"],
        head_dim=sizes["hidden"] // sizes["heads"],
        ffn_size=sizes["inter"],
        mrope_sections=tuple(sizes["mrope"]),
        theta=sizes["theta"],
        eps=sizes["rms_norm_eps"],
        tied_embeddings=sizes["tie"],
        vision=VisionConfig(
            depth=sizes["vdepth"],
            dim=sizes["vdim"],
            heads=sizes["vheads"],
            patch=sizes["patch"],
            mlp_ratio=sizes["mlp_ratio"],
            eps=sizes["vision_ln_eps"],
            theta=sizes["vision_rope_theta"],
        ),
        image_pad=ids["image"],
        video_pad=ids["video"],
        vision_start=ids["vision_start"],
        vision_end=ids["vision_end"],
        eos=ids["eos"],
        pad=ids["pad"],
    )


@pytest.fixture(scope="module")
def params(golden, config):
    template = jax.eval_shape(lambda: nn.unbox(_init(config)))
    return tables.to_flax(
        weights.rules(config), _reference_weights(golden), template=template
    )


def _init(config):
    tokens = jnp.zeros((1, 4), jnp.int32)
    return Qwen2VL(config).init(
        jax.random.key(0), tokens, jnp.zeros((3, 1, 4), jnp.int32), tokens + 1
    )["params"]


def _reference_weights(golden):
    return {k.removeprefix("w/"): v for k, v in golden.items() if k.startswith("w/")}


def _error(ours, reference):
    reference = np.asarray(reference)
    return np.abs(np.asarray(ours) - reference).max() / np.abs(reference).max()


def _media(golden, case, config):
    """The case's pictures as {pad token: [(patches, grid), ...]}, in given order."""
    found = {config.image_pad: [], config.video_pad: []}
    for pad, grids, pixels in (
        (config.image_pad, "image_grid_thw", "pixel_values"),
        (config.video_pad, "video_grid_thw", "pixel_values_videos"),
    ):
        start = 0
        for grid in golden.get(f"in/{case}/{grids}", ()):
            count = int(np.prod(grid))
            flat = golden[f"in/{case}/{pixels}"][start : start + count]
            found[pad].append((flat, grid))
            start += count
    return found


def _inputs(golden, case, config, length=64):
    """The model's arguments for a recorded case: pictures packed into their rows."""
    tokens = golden[f"in/{case}/input_ids"].astype(np.int32)
    attention_mask = golden[f"in/{case}/attention_mask"]
    media = _media(golden, case, config)
    merge = config.vision.merge
    visual = np.isin(tokens, list(media))
    rows = [_shown(row, media, merge) for row in tokens]
    ids, deltas = mrope.batch_positions(
        visual, attention_mask, [[grid for _, grid in row] for row in rows], merge
    )
    arguments = {
        "tokens": tokens,
        "positions": ids,
        "segments": attention_mask.astype(np.int32),
    }
    if any(rows):
        packed = patches.pack(rows, length, config.vision.patch_dim, merge)
        names = ("patches", "coordinates", "patch_segments")
        arguments |= dict(zip(names, packed, strict=True))
        arguments["image_index"] = mrope.image_index(visual)
    return arguments, deltas


def _shown(row, media, merge):
    """Take the row's pictures from `media`, in the order of their placeholders."""
    shown, index = [], 0
    while index < len(row):
        if row[index] in media:
            shown.append(media[row[index]].pop(0))
            index += mrope.visual_length(shown[-1][1], merge)
        else:
            index += 1
    return shown


def _forward(config, params, arguments):
    model = Qwen2VL(config)
    hidden, out = model.apply({"params": params}, **arguments)
    return hidden, model.apply({"params": params}, hidden, method="logits"), out


def _loss(logits, labels):
    """Shifted cross-entropy, -100 ignored: mean over the labelled positions."""
    targets = jnp.asarray(labels[:, 1:])
    chosen = jnp.take_along_axis(
        jax.nn.log_softmax(logits[:, :-1]), jnp.maximum(targets, 0)[..., None], axis=-1
    )[..., 0]
    counted = targets != -100
    return -jnp.where(counted, chosen, 0.0).sum() / counted.sum()


def test_rematerialised_gradients_are_the_same(golden, config, params):
    arguments, _ = _inputs(golden, "img", config)
    labels = golden["in/img/labels"]
    remat = dataclasses.replace(config, remat="full")

    def grad(config):
        return jax.jit(
            jax.grad(lambda p: _loss(_forward(config, p, arguments)[1], labels))
        )(params)

    errors = jax.tree.map(_error, grad(remat), grad(config))
    assert max(jax.tree.leaves(errors)) <= COMPOSED


def test_round_trip_is_bit_exact(golden, config, params):
    back = tables.to_reference(weights.rules(config), params)
    reference = _reference_weights(golden)
    assert back.keys() == reference.keys()
    for name, array in reference.items():
        assert back[name].dtype == array.dtype
        np.testing.assert_array_equal(back[name], array)


# Parameters of the released checkpoints.
COUNTS = {"2b": 2_208_985_600, "7b": 8_291_375_616, "72b": 73_405_560_320}


@pytest.mark.parametrize("size", SIZES)
def test_every_size_traces_and_its_table_is_complete(size):
    config = SIZES[size]
    boxed = jax.eval_shape(lambda: _init(config))
    params = tables.flatten(nn.unbox(boxed))
    assert {rule.path for rule in weights.rules(config)} == params.keys()
    if size in COUNTS:
        assert sum(leaf.size for leaf in params.values()) == COUNTS[size]
    for leaf in jax.tree.leaves(
        boxed, is_leaf=lambda x: isinstance(x, nn.meta.AxisMetadata)
    ):
        assert len(leaf.names) == leaf.value.ndim


def test_full_7b_traces_in_bfloat16():
    config = dataclasses.replace(SIZES["7b"], dtype="bfloat16", param_dtype="bfloat16")
    spec = jax.ShapeDtypeStruct
    arguments = {
        "tokens": spec((2, 512), jnp.int32),
        "positions": spec((3, 2, 512), jnp.int32),
        "segments": spec((2, 512), jnp.int32),
        "patches": spec((2, 1024, config.vision.patch_dim), jnp.float32),
        "coordinates": spec((2, 1024, 2), jnp.int32),
        "patch_segments": spec((2, 1024), jnp.int32),
        "image_index": spec((2, 512), jnp.int32),
    }
    params = jax.eval_shape(lambda: nn.unbox(_init(config)))
    hidden, logits, out = jax.eval_shape(
        lambda p, a: _forward(config, p, a), params, arguments
    )
    assert hidden.shape == (2, 512, 3584) and hidden.dtype == jnp.bfloat16
    assert logits.shape == (2, 512, 152064) and logits.dtype == jnp.float32
    assert out["visual"].shape == (2, 256, 3584)
