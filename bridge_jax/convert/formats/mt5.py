"""MT5EncoderModel of transformers, or the encoder of a whole MT5Model."""

from collections.abc import Mapping
from typing import Any

from bridge_jax.core.weights import Rule
from bridge_jax.models.mt5 import config as config_lib
from bridge_jax.models.mt5 import weights

BASE = "model"
ON_DISK = "config.json; model.safetensors, or shards with model.safetensors.index.json"
IGNORED = {
    r"encoder\.embed_tokens\.weight": "the shared table again",
    r"decoder\..*": "the encoder alone is used",
    r"lm_head\..*": "the encoder alone is used",
}
# ours -> theirs
_FIELDS = {
    "layers": "num_layers",
    "d_model": "d_model",
    "heads": "num_heads",
    "d_kv": "d_kv",
    "d_ff": "d_ff",
    "vocab": "vocab_size",
    "buckets": "relative_attention_num_buckets",
    "max_distance": "relative_attention_max_distance",
    "eps": "layer_norm_epsilon",
}
PROMPT_LENGTH = 256  # of HunyuanDiT


def read(about: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]):
    given = {ours: about[theirs] for ours, theirs in _FIELDS.items() if theirs in about}
    return {"mt5": {"family": "mt5", "length": PROMPT_LENGTH, **given}}


def rules(configs: Mapping[str, config_lib.Config]) -> dict[str, tuple[Rule, ...]]:
    return {"mt5": weights.rules(configs["mt5"])}


def write(configs: Mapping[str, config_lib.Config], about: Mapping[str, Any]):
    config = configs["mt5"]
    own = {theirs: getattr(config, ours) for ours, theirs in _FIELDS.items()}
    base = {
        "architectures": ["MT5EncoderModel"],
        "model_type": "mt5",
        "feed_forward_proj": "gated-gelu",
        "is_encoder_decoder": False,
        "tie_word_embeddings": False,
    }
    return base | dict(about) | own
