"""HunyuanDiT2DModel of diffusers: `transformer/` of a v1.2 pipeline's folder."""

from collections.abc import Mapping
from typing import Any

from bridge_jax.convert.formats import hunyuan_dit
from bridge_jax.core.errors import BridgeError
from bridge_jax.core.weights import Rule
from bridge_jax.models.hunyuan_dit import config as config_lib
from bridge_jax.models.hunyuan_dit import diffusers_weights

BASE = "diffusion_pytorch_model"
ON_DISK = "config.json; diffusion_pytorch_model.safetensors, or shards with their index"
IGNORED: dict[str, str] = {}
PART = "dit"
# ours -> theirs
_FIELDS = {
    "hidden": "hidden_size",
    "heads": "num_attention_heads",
    "depth": "num_layers",
    "patch": "patch_size",
    "in_channels": "in_channels",
    "clip_dim": "cross_attention_dim",
    "clip_length": "text_len",
    "t5_dim": "cross_attention_dim_t5",
    "t5_length": "text_len_t5",
    "pooler_out": "pooled_projection_dim",
    "learn_sigma": "learn_sigma",
}
_MLP_T5 = "text_embedder.linear_1.weight"
_TIME = "time_extra_emb.timestep_embedder.linear_1.weight"


def read(about: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]):
    if about.get("use_style_cond_and_image_meta_size"):
        raise BridgeError(
            "this is HunyuanDiT v1.1 or older, with style and size conditions; v1.2"
            " has none"
        )
    given = {ours: about[theirs] for ours, theirs in _FIELDS.items() if theirs in about}
    missing = [name for name in (_MLP_T5, _TIME) if name not in shapes]
    if missing:
        raise BridgeError(f"no HunyuanDiT of diffusers: it lacks {', '.join(missing)}")
    if "hidden" in given and "mlp_ratio" in about:
        inner = int(given["hidden"] * about["mlp_ratio"])
        given["mlp_ratio"] = hunyuan_dit.ratio(given["hidden"], inner)
    given["t5_mlp_hidden"] = shapes[_MLP_T5][0]
    given["time_frequencies"] = shapes[_TIME][1]
    given["qk_norm"] = "blocks.0.attn1.norm_q.weight" in shapes
    return {PART: {"family": "hunyuan_dit", **given}}


def rules(configs: Mapping[str, config_lib.Config]) -> dict[str, tuple[Rule, ...]]:
    return {PART: diffusers_weights.rules(configs[PART])}


def write(configs: Mapping[str, config_lib.Config], about: Mapping[str, Any]):
    config = configs[PART]
    own = {theirs: getattr(config, ours) for ours, theirs in _FIELDS.items()}
    own |= {
        "attention_head_dim": config.head_dim,
        "mlp_ratio": about.get("mlp_ratio", config.mlp_ratio),
        "use_style_cond_and_image_meta_size": False,
    }
    base = {
        "_class_name": "HunyuanDiT2DModel",
        "activation_fn": "gelu-approximate",
        "norm_type": "layer_norm",
        "sample_size": config.input_size,
    }
    return base | dict(about) | own
