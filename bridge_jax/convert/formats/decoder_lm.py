"""Qwen2, Qwen2.5 and LLaMA-3 text models of transformers."""

from collections.abc import Mapping
from typing import Any

from bridge_jax.core.errors import BridgeError
from bridge_jax.core.weights import Rule
from bridge_jax.models.decoder_lm import config as config_lib
from bridge_jax.models.decoder_lm import weights

BASE = "model"
ON_DISK = (
    "config.json; model.safetensors, or shards with "
    "model.safetensors.index.json; the tokenizer's files"
)
IGNORED = {r".*rotary_emb\.inv_freq": "a constant"}
PART = "lm"
TOKENIZER = "llm"
# ours -> theirs
_FIELDS = {
    "vocab_size": "vocab_size",
    "hidden_size": "hidden_size",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "kv_heads": "num_key_value_heads",
    "ffn_size": "intermediate_size",
    "eps": "rms_norm_eps",
}
_SCALING = {
    "factor": "factor",
    "low": "low_freq_factor",
    "high": "high_freq_factor",
    "original": "original_max_position_embeddings",
}
_BIAS = "model.layers.0.self_attn.q_proj.bias"


def read(about: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]):
    rope = about.get("rope_parameters") or about.get("rope_scaling") or {}
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind not in ("default", "llama3"):
        raise BridgeError(f"rotary scaling {kind!r} is none of default and llama3")
    given = {ours: about[theirs] for ours, theirs in _FIELDS.items() if theirs in about}
    given["theta"] = float(rope.get("rope_theta", about.get("rope_theta", 1e4)))
    if {"hidden_size", "heads"} <= given.keys():
        width = given["hidden_size"] // given["heads"]
        given["head_dim"] = about.get("head_dim") or width
    given.setdefault("kv_heads", given.get("heads"))
    if kind == "llama3":
        given["scaling"] = {o: rope[t] for o, t in _SCALING.items() if t in rope}
    # The file decides: configs leave these out, and defaults differ between families.
    given["qkv_bias"] = _BIAS in shapes
    given["tied_embeddings"] = "lm_head.weight" not in shapes
    return {PART: {"family": "decoder_lm", **given}}


def rules(configs: Mapping[str, config_lib.Config]) -> dict[str, tuple[Rule, ...]]:
    return {PART: weights.rules(configs[PART])}


def processor(configs: Mapping[str, config_lib.Config]) -> dict[str, Any]:
    """How the released models are asked."""
    return {
        "instructions": "full",
        "llm": TOKENIZER,
        "template": "qwen2" if configs[PART].qkv_bias else "llama3",
        "positions": "plain",
    }


def write(configs: Mapping[str, config_lib.Config], about: Mapping[str, Any]):
    config = configs[PART]
    family = "qwen2" if config.qkv_bias else "llama"
    own = {theirs: getattr(config, ours) for ours, theirs in _FIELDS.items()}
    own |= {
        "rope_theta": config.theta,
        "head_dim": config.head_dim,
        "tie_word_embeddings": config.tied_embeddings,
    }
    if config.scaling is not None:
        own["rope_scaling"] = {
            "rope_type": "llama3",
            **{t: getattr(config.scaling, o) for o, t in _SCALING.items()},
        }
    base = {
        "architectures": [f"{family.capitalize()}ForCausalLM"],
        "model_type": family,
        "hidden_act": "silu",
    }
    # Nested rotary parameters would contradict ours where a field was changed.
    kept = {k: v for k, v in about.items() if k != "rope_parameters"}
    return base | kept | own
