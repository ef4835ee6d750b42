"""A random model, small enough to draw with in a test, saved as a finished run is."""

import dataclasses
import zlib

import jax
import numpy as np
import pytest

import bridge_jax
from bridge_jax.checkpoint import weights_file
from bridge_jax.core import trees
from bridge_jax.data import instructions
from bridge_jax.data import processor as processor_lib
from bridge_jax.inference import settings
from bridge_jax.inference.model import Model
from bridge_jax.models import build
from bridge_jax.sharding import place

_T5 = {"size": "tiny", "d_model": 32, "heads": 2, "d_kv": 16, "d_ff": 64}
PARTS = {
    "vlm": {
        "family": "qwen2_vl",
        "size": "tiny",
        "vocab_size": 576,
        "hidden_size": 64,
        "layers": 2,
        "heads": 2,
        "kv_heads": 1,
        "ffn_size": 96,
        "tied_embeddings": False,  # tied and random, it would repeat one word
        "vision": {"depth": 1, "dim": 32, "heads": 2, "patch": 8, "mlp_ratio": 2},
    },
    "projector": {"family": "projector", "hidden": 64, "d_model": 32},
    "aligner": {"family": "bitransformer", "layers": 1, "cross_layers": (0,), **_T5},
    "retrieval": {
        "family": "retrieval",
        "d_model": 32,
        "out": 16,
        "pool_heads": 2,
        "image_queries": 4,
        "text_queries": 4,
    },
    "mt5": {"family": "mt5", "layers": 1, "vocab": 256, **_T5},
    "bert": {
        "family": "bert",
        "size": "tiny",
        "layers": 1,
        "hidden": 32,
        "heads": 2,
        "ffn": 64,
        "vocab": 256,
    },
    "dit": {
        "family": "hunyuan_dit",
        "size": "tiny",
        "hidden": 48,
        "heads": 2,
        "depth": 2,
        "mlp_ratio": 2.0,
        "in_channels": 4,
        "clip_dim": 32,
        "t5_dim": 32,
        "t5_mlp_hidden": 64,
        "pooler_heads": 2,
        "pooler_out": 32,
    },
    "vae": {
        "family": "autoencoder_kl",
        "size": "tiny",
        "block_out_channels": (8, 8),
        "latent_channels": 4,
        "norm_groups": 4,
    },
}


def random_params(bundle, seed=0):
    """Host parameters, all random: fresh output layers are zero, and draw grey."""
    shapes = bundle.abstract()

    def one(path, leaf):
        draw = np.random.default_rng([seed, zlib.crc32(path.encode())])
        fan_in = 1 if path.endswith("embedding") else np.prod(leaf.shape[:-1])
        spread = 1 / np.sqrt(fan_in) if leaf.ndim > 1 else 0.1
        return draw.normal(scale=spread, size=leaf.shape).astype(np.float32)

    return trees.map_paths(one, place.unbox(shapes))


def save(folder, names=tuple(PARTS), seed=0):
    """A model folder of the named parts."""
    bundle = build.build({name: PARTS[name] for name in names})
    about = {
        "model": bundle.description(),
        "processor": dataclasses.asdict(processor_lib.Config()),
    }
    weights_file.save(folder, random_params(bundle, seed), about)
    return folder


def picture(index, side=64):
    """uint8 [side, side, 3], each index another."""
    blocks = np.random.default_rng(index).integers(0, 256, (4, 4, 3), np.uint8)
    return np.kron(blocks, np.ones((side // 4, side // 4, 1), np.uint8))


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return save(tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="session")
def model(folder):
    """Two requests make a batch, so that all tests share a few programs."""
    return bridge_jax.load(folder, limits=settings.Limits(rows=2, images=2))


@pytest.fixture(scope="module")
def talker():
    """The least model that talks of pictures; it neither looks first nor has a system
    message, so prompts are short."""
    part = PARTS["vlm"] | {"layers": 1}
    bundle = build.build({"vlm": part})
    plain = dataclasses.replace(instructions.SETS["short"], look_first=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(instructions.SETS, "plain", plain)
        processor = processor_lib.Processor(processor_lib.Config(instructions="plain"))
        assert processor.words is plain
    layout = place.make({"data": 1}, devices=jax.local_devices()[:1])
    return Model.of(bundle, random_params(bundle), processor, layout)


@pytest.fixture(scope="session")
def pictures():
    return [picture(i) for i in range(4)]


@pytest.fixture(scope="session")
def attentive():
    """A model -> it with attention so strong that it says what it sees."""

    def stronger(path, leaf):
        attends = "llm" in path and "attention" in path and path.endswith("kernel")
        return np.asarray(leaf) * (4 if attends else 1)

    def made(model):
        changed = {"vlm": trees.map_paths(stronger, model.params["vlm"])}
        return model.with_params(dict(model.params) | changed)

    return made
