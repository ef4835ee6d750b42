"""The whole unified model with every part at its smallest, and configs that use it.

Widths are tiny and depths are 1 or 2; everything else (tokenizers, lengths, picture
and latent sizes) is as in the tiny world, so streams and stages run unchanged.
"""

import numpy as np

from bridge_jax.checkpoint import weights_file
from bridge_jax.core import config as config_lib
from bridge_jax.core import trees
from bridge_jax.data import pipeline, vocabulary
from bridge_jax.data import processor as processor_lib
from bridge_jax.models import build
from bridge_jax.sharding import place

_T5 = {"layers": 1, "d_model": 16, "heads": 2, "d_kv": 8, "d_ff": 24}
_LLM = {
    "hidden_size": 32,
    "layers": 1,
    "heads": 2,
    "kv_heads": 1,
    "head_dim": 16,
    "ffn_size": 48,
}
PARTS = {
    "vlm": {
        "hidden_size": 32,
        "layers": 1,
        "heads": 2,
        "kv_heads": 1,
        "head_dim": 16,
        "mrope_sections": (2, 3, 3),
        "ffn_size": 48,
        "vision": {"depth": 1, "dim": 16, "heads": 2},
    },
    "projector": {"hidden": 32, "d_model": 16},
    # Each mask is drawn by a loop; together they are a quarter of what a step compiles.
    "aligner": {**_T5, "cross_layers": (0,), "dropout": 0.0},
    "retrieval": {
        "d_model": 16,
        "out": 8,
        "pool_heads": 2,
        "image_queries": 3,
        "text_queries": 3,
    },
    "mt5": _T5,
    "bert": {"layers": 1, "hidden": 16, "heads": 2, "ffn": 24},
    "dit": {
        "hidden": 16,
        "heads": 2,
        "depth": 2,
        "mlp_ratio": 2.0,
        "clip_dim": 16,
        "t5_dim": 16,
        "t5_mlp_hidden": 24,
        "pooler_heads": 2,
        "pooler_out": 16,
        "time_frequencies": 16,
    },
    "vae": {"block_out_channels": (4, 4, 4, 4), "norm_groups": 2},
    "maps": {"hidden": 16, "embedding": 12, "inner": 8},
    "latentumm": {"latent": 8, "hidden": 16, "layers": 1, "heads": 2},
    # By family, where a part of that name may be another's.
    "decoder_lm": _LLM,
    "llava": {
        "llm": _LLM,
        "qwen2_vl": {"hidden_size": 16, "vision": {"depth": 1, "dim": 16, "heads": 2}},
        "langbridge": {"vision": 16, "hidden": 16},
    },
}
PROCESSOR = processor_lib.Processor(processor_lib.Config())


def config(spec, *overrides):
    """configs/shapes_stage1.py:tiny and the like, its parts shrunk."""
    made = config_lib.load(spec, overrides)
    with made.unlocked(), made.ignore_type():
        for name, part in made.model.items():
            part.update(PARTS.get(part.family, PARTS.get(name)))
        made.reader_threads = 0  # no rows but those that a step takes
    return made


def bundle(*names):
    """The named parts, or all of them."""
    table = config("configs/shapes_stage2.py:tiny").model
    return build.build({name: table[name] for name in names or table})


def params(bundle, seed=0):
    """Random parameters without compiling an initialiser."""
    return drawn(place.unbox(bundle.abstract()), seed)


def drawn(shapes, seed=0):
    """Random parameters of these shapes, none of them zero."""
    draw = np.random.default_rng(seed)

    def one(path, leaf):
        if path.endswith("scale"):
            return np.ones(leaf.shape, np.float32)
        fan_in = leaf.shape[-2] if len(leaf.shape) > 1 else 100
        return draw.normal(0, fan_in**-0.5, leaf.shape).astype(np.float32)

    return trees.map_paths(one, shapes)


def saved(config, folder):
    """`folder`, with `params` of the config's model, as `load` reads them."""
    model = build.build(vocabulary.resolved(config.model))
    about = {"model": model.description(), "processor": config.get("processor", {})}
    weights_file.save(folder, params(model), config_lib.plain(about))
    return folder


def started(config, folder):
    """The config, starting from `params` of its model, written to `folder`.

    Initialisers take as long to compile as a training step, and have their own tests.
    """
    saved(config, folder)
    with config.unlocked():
        config.init_from = {name: f"{folder}:{name}" for name in config.model}
    return config


_FILE = """
from bridge_jax.core import config

def get_config(variant=""):
    return config.from_json({!r})
"""


def stage2_file(home):
    """A config file in an empty folder: stage 2's generation stream alone, started."""
    made = config("configs/shapes_stage2.py:tiny")
    with made.unlocked():
        made.streams = dict(generate=dict(source="shapes_generate", batch=8))
        made.objectives = dict(semantic=dict(stream="generate"))
    return file(started(made, home / "start"), home)


def file(made, home):
    """A config file in `home` that says what `made` says."""
    (home / "small.py").write_text(_FILE.format(config_lib.to_json(made)))
    return home / "small.py"


def rows(source, indices, **fields):
    """Rows of a stream as one batch: {field: [B, ...]}."""
    stream = pipeline.load_stream(source, fields, PROCESSOR)
    return collate([stream(index) for index in indices])


def collate(given):
    """Stack nested dicts of arrays along a new leading axis."""
    first = given[0]
    if isinstance(first, dict):
        return {name: collate([row[name] for row in given]) for name in first}
    return np.stack(given)
