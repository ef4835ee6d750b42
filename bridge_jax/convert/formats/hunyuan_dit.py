"""HunyuanDiT v1.2 as released: `t2i/model/pytorch_model_ema.pt`, no config.

All sizes but three are read off the shapes: pooling heads, native latent side and
whether an image has 4 channels are those of the release.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bridge_jax.convert import torch_file
from bridge_jax.core.errors import BridgeError
from bridge_jax.core.weights import Rule
from bridge_jax.models.hunyuan_dit import config as config_lib
from bridge_jax.models.hunyuan_dit import weights

BASE = "pytorch_model_ema"
ON_DISK = "pytorch_model_ema.pt (or _module, _distill), or the path of such a file"
FILES = ("pytorch_model_ema.pt", "pytorch_model_module.pt", "pytorch_model_distill.pt")
IGNORED: dict[str, str] = {}
PART = "dit"


def open_source(source: Path) -> torch_file.TorchFile:
    return torch_file.open_file(torch_file.find(source, FILES))


def read_about(source: Path) -> dict[str, Any]:
    return {}


def save(target: Path, arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]):
    torch_file.save(target / FILES[0], arrays)
    return FILES[0]


def read(about: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]):
    needed = (
        "x_embedder.proj.weight",
        "pooler.positional_embedding",
        "mlp_t5.0.weight",
    )
    missing = [name for name in needed if name not in shapes]
    if missing:
        raise BridgeError(f"no HunyuanDiT checkpoint: it lacks {', '.join(missing)}")
    hidden, channels, patch, _ = shapes["x_embedder.proj.weight"]
    positions, t5_dim = shapes["pooler.positional_embedding"]
    text_length, clip_dim = shapes["text_embedding_padding"]
    blocks = {int(m[1]) for n in shapes if (m := re.match(r"blocks\.(\d+)\.", n))}
    head_dim = shapes.get("blocks.0.attn1.q_norm.weight", (hidden // 16,))[0]
    inner = shapes["blocks.0.mlp.fc1.weight"][0]
    given = {
        "hidden": hidden,
        "heads": hidden // head_dim,
        "depth": len(blocks),
        "mlp_ratio": ratio(hidden, inner),
        "patch": patch,
        "in_channels": channels,
        "clip_dim": clip_dim,
        "clip_length": text_length - (positions - 1),
        "t5_dim": t5_dim,
        "t5_length": positions - 1,
        "t5_mlp_hidden": shapes["mlp_t5.0.weight"][0],
        "pooler_out": shapes["pooler.c_proj.weight"][0],
        "time_frequencies": shapes["t_embedder.mlp.0.weight"][1],
        "learn_sigma": shapes["final_layer.linear.weight"][0] > channels * patch**2,
        "qk_norm": "blocks.0.attn1.q_norm.weight" in shapes,
    }
    return {PART: {"family": "hunyuan_dit", **given}}


def ratio(hidden: int, inner: int) -> float:
    """The mlp_ratio whose product with `hidden`, cut to a whole number, is `inner`."""
    found = inner / hidden
    return (
        found if int(hidden * found) == inner else float(np.nextafter(found, 2 * found))
    )


def rules(configs: Mapping[str, config_lib.Config]) -> dict[str, tuple[Rule, ...]]:
    return {PART: weights.rules(configs[PART])}


def write(configs: Mapping[str, config_lib.Config], about: Mapping[str, Any]):
    return {}
