"""CLIPVisionModel of transformers, or the vision half of a whole CLIPModel."""

from collections.abc import Mapping
from typing import Any

from bridge_jax.core.weights import Rule
from bridge_jax.models.clip_vit import config as config_lib
from bridge_jax.models.clip_vit import weights

BASE = "model"
ON_DISK = "config.json; model.safetensors, or shards with model.safetensors.index.json"
IGNORED = {
    r"(vision_model\.)?embeddings\.position_ids": "a constant",
    r"text_model\..*": "the vision half alone is used",
    r"(visual_projection|text_projection|logit_scale).*": "CLIP's own comparison",
}
PART = "clip"
# ours -> theirs
_FIELDS = {
    "image": "image_size",
    "patch": "patch_size",
    "hidden": "hidden_size",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "ffn": "intermediate_size",
    "activation": "hidden_act",
    "channels": "num_channels",
    "eps": "layer_norm_eps",
}


def read(about: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]):
    vision = about.get("vision_config", about)
    given = {o: vision[t] for o, t in _FIELDS.items() if t in vision}
    return {PART: {"family": "clip_vit", **given}}


def rules(configs: Mapping[str, config_lib.Config]) -> dict[str, tuple[Rule, ...]]:
    return {PART: weights.rules(configs[PART])}


def spelled(name: str) -> tuple[str, ...]:
    """transformers 5 writes the tower of a CLIPVisionModel without its prefix."""
    return (name.removeprefix("vision_model."),)


def write(configs: Mapping[str, config_lib.Config], about: Mapping[str, Any]):
    config = configs[PART]
    own = {theirs: getattr(config, ours) for ours, theirs in _FIELDS.items()}
    base = {"architectures": ["CLIPVisionModel"], "model_type": "clip_vision_model"}
    kept = about.get("vision_config", about)
    return base | dict(kept) | own
