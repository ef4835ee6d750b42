"""BertModel of transformers."""

from collections.abc import Mapping
from typing import Any

from bridge_jax.core.weights import Rule
from bridge_jax.models.bert import config as config_lib
from bridge_jax.models.bert import weights

BASE = "model"
ON_DISK = "config.json; model.safetensors, or shards with model.safetensors.index.json"
IGNORED = {
    r"(bert\.)?pooler\..*": "the decoder reads states, not the pooled vector",
    r"(bert\.)?embeddings\.position_ids": "a constant",
    r"cls\..*": "heads of pretraining",
}
# ours -> theirs
_FIELDS = {
    "layers": "num_hidden_layers",
    "hidden": "hidden_size",
    "heads": "num_attention_heads",
    "ffn": "intermediate_size",
    "vocab": "vocab_size",
    "positions": "max_position_embeddings",
    "token_types": "type_vocab_size",
    "eps": "layer_norm_eps",
}
PROMPT_LENGTH = 77  # of HunyuanDiT


def read(about: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]):
    given = {"eps": 1e-12} | {
        ours: about[theirs] for ours, theirs in _FIELDS.items() if theirs in about
    }
    length = min(PROMPT_LENGTH, given.get("positions", PROMPT_LENGTH))
    return {"bert": {"family": "bert", "length": length, **given}}


def rules(configs: Mapping[str, config_lib.Config]) -> dict[str, tuple[Rule, ...]]:
    return {"bert": weights.rules(configs["bert"])}


def write(configs: Mapping[str, config_lib.Config], about: Mapping[str, Any]):
    config = configs["bert"]
    own = {theirs: getattr(config, ours) for ours, theirs in _FIELDS.items()}
    base = {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "hidden_act": "gelu",
        "position_embedding_type": "absolute",
    }
    return base | dict(about) | own
