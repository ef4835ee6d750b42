"""AutoencoderKL of diffusers: `vae/` of a pipeline's folder."""

from collections.abc import Mapping
from typing import Any

from bridge_jax.core.weights import Rule
from bridge_jax.models.autoencoder_kl import config as config_lib
from bridge_jax.models.autoencoder_kl import weights

BASE = "diffusion_pytorch_model"
ON_DISK = "config.json; diffusion_pytorch_model.safetensors"
IGNORED: dict[str, str] = {}
# ours -> theirs
_FIELDS = {
    "block_out_channels": "block_out_channels",
    "layers_per_block": "layers_per_block",
    "latent_channels": "latent_channels",
    "norm_groups": "norm_num_groups",
    "scaling_factor": "scaling_factor",
    "image_channels": "in_channels",
}
PART = "vae"
# The mid block's attention before diffusers 0.18.
_OLD = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}


def read(about: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]):
    given = {"norm_groups": 32, "scaling_factor": 0.18215} | {
        ours: about[theirs] for ours, theirs in _FIELDS.items() if theirs in about
    }
    if "block_out_channels" in given:
        given["block_out_channels"] = tuple(given["block_out_channels"])
    return {PART: {"family": "autoencoder_kl", **given}}


def rules(configs: Mapping[str, config_lib.Config]) -> dict[str, tuple[Rule, ...]]:
    return {PART: weights.rules(configs[PART])}


def spelled(name: str) -> tuple[str, ...]:
    """Other names that a tensor goes by."""
    for now, before in _OLD.items():
        if f"attentions.0.{now}." in name:
            return (name.replace(f".{now}.", f".{before}."),)
    return ()


def write(configs: Mapping[str, config_lib.Config], about: Mapping[str, Any]):
    config = configs[PART]
    own = {theirs: getattr(config, ours) for ours, theirs in _FIELDS.items()}
    own["block_out_channels"] = list(config.block_out_channels)
    levels = len(config.block_out_channels)
    base = {
        "_class_name": "AutoencoderKL",
        "act_fn": "silu",
        "down_block_types": ["DownEncoderBlock2D"] * levels,
        "up_block_types": ["UpDecoderBlock2D"] * levels,
        "out_channels": config.image_channels,
        "sample_size": 32 * config.factor,
    }
    return base | dict(about) | own
