"""Qwen2-VL of transformers: 2B, 7B and 72B, one file or shards.

Files of transformers 4.52 and later may call the tower `model.visual` and the decoder
`model.language_model`; both spellings are read, the released one is written.
"""

from collections.abc import Mapping
from typing import Any

from bridge_jax.core.weights import Rule
from bridge_jax.models.qwen2_vl import config as config_lib
from bridge_jax.models.qwen2_vl import weights

BASE = "model"
ON_DISK = (
    "config.json; model.safetensors, or shards with "
    "model.safetensors.index.json; the tokenizer's files"
)
IGNORED = {
    r".*rotary_emb\.inv_freq": "a constant",
}
# ours -> theirs
_TEXT = {
    "vocab_size": "vocab_size",
    "hidden_size": "hidden_size",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "kv_heads": "num_key_value_heads",
    "ffn_size": "intermediate_size",
    "eps": "rms_norm_eps",
}
_TOKENS = {
    "image_pad": "image_token_id",
    "video_pad": "video_token_id",
    "vision_start": "vision_start_token_id",
    "vision_end": "vision_end_token_id",
}
_VISION = {
    "depth": "depth",
    "dim": "embed_dim",
    "heads": "num_heads",
    "patch": "patch_size",
    "temporal_patch": "temporal_patch_size",
    "merge": "spatial_merge_size",
    "mlp_ratio": "mlp_ratio",
}
PART = "vlm"
TOKENIZER = "qwen2_vl"
# Of the released preprocessor: pictures of 4 to 1280 visual tokens.
PIXELS = {"min_pixels": 56 * 56, "max_pixels": 28 * 28 * 1280}


def read(about: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]):
    text = {**about, **about.get("text_config", {})}
    rope = text.get("rope_parameters") or text.get("rope_scaling") or {}
    vision = about.get("vision_config", {})
    given = {o: text[t] for o, t in _TEXT.items() if t in text}
    given |= {o: about[t] for o, t in _TOKENS.items() if t in about}
    if "mrope_section" in rope:
        given["mrope_sections"] = tuple(rope["mrope_section"])
    theta = rope.get("rope_theta", text.get("rope_theta"))
    if theta is not None:
        given["theta"] = float(theta)
    eos = text.get("eos_token_id", about.get("eos_token_id"))
    if isinstance(eos, int):
        given["eos"] = eos
    if isinstance(text.get("pad_token_id"), int):
        given["pad"] = text["pad_token_id"]
    if {"hidden_size", "heads"} <= given.keys():
        width = given["hidden_size"] // given["heads"]
        given["head_dim"] = text.get("head_dim") or width
    # The file decides: configs leave the flag out, and it defaults either way.
    given["tied_embeddings"] = "lm_head.weight" not in shapes
    given["vision"] = {o: vision[t] for o, t in _VISION.items() if t in vision}
    return {PART: {"family": "qwen2_vl", **given}}


def rules(configs: Mapping[str, config_lib.Config]) -> dict[str, tuple[Rule, ...]]:
    return {PART: weights.rules(configs[PART])}


def processor(configs: Mapping[str, Any]) -> dict[str, Any]:
    """How the released model is asked, and sizes pictures."""
    vision = configs[PART].vision
    found = {
        "instructions": "full",
        "patch": vision.patch,
        "temporal": vision.temporal_patch,
        "merge": vision.merge,
        "t5_length": 256,
        "bert_length": 77,
        "memory_length": 256,
    }
    return found | (PIXELS if vision.patch == config_lib.VisionConfig.patch else {})


def spelled(name: str) -> tuple[str, ...]:
    """Other names that a released tensor goes by."""
    if name.startswith("visual."):
        return (f"model.{name}",)
    if name.startswith("model."):
        return (f"model.language_model.{name.removeprefix('model.')}",)
    return ()


def write(configs: Mapping[str, config_lib.Config], about: Mapping[str, Any]):
    config = configs[PART]
    own = {t: getattr(config, o) for o, t in {**_TEXT, **_TOKENS}.items()}
    own |= {
        "rope_theta": config.theta,
        "rope_scaling": {
            "type": "mrope",
            "mrope_section": list(config.mrope_sections),
        },
        "tie_word_embeddings": config.tied_embeddings,
        "eos_token_id": config.eos,
        "vision_config": {
            **about.get("vision_config", {}),
            **{t: getattr(config.vision, o) for o, t in _VISION.items()},
            "hidden_size": config.hidden_size,
            "in_chans": config.vision.channels,
        },
    }
    base = {
        "architectures": ["Qwen2VLForConditionalGeneration"],
        "model_type": "qwen2_vl",
        "hidden_act": "silu",
    }
    # A nested text config would contradict ours where a field was changed.
    kept = {
        k: v for k, v in about.items() if k not in ("text_config", "rope_parameters")
    }
    return base | kept | own
