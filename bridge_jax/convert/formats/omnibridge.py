"""The released OmniBridge checkpoint: one folder, Qwen2-VL's names and its own.

Beside Qwen2-VL's tensors: `downsampling_linear_layer`, `bilm.*`, the queries and heads
of retrieval. config.json is Qwen2-VL's; what it does not tell is read off the shapes.
"""

import re
from collections.abc import Mapping
from typing import Any

from bridge_jax.convert.formats import qwen2_vl
from bridge_jax.core.errors import BridgeError
from bridge_jax.core.weights import Rule
from bridge_jax.models.bitransformer import weights as aligner
from bridge_jax.models.projector import weights as projector
from bridge_jax.models.retrieval import weights as retrieval

BASE = "model"
ON_DISK = (
    "config.json; model.safetensors, or shards with "
    "model.safetensors.index.json; the tokenizer's files"
)
IGNORED = {
    **qwen2_vl.IGNORED,
    r"bilm\.(shared|embed_tokens)\.weight": "the text encoder's table",
}
PROJECTOR = "downsampling_linear_layer.weight"
POOL_HEADS = 16  # of the released code; no shape tells it
OWN = "omnibridge"  # key in config.json of what shapes do not tell
TOKENIZER = qwen2_vl.TOKENIZER
spelled = qwen2_vl.spelled
processor = qwen2_vl.processor


def read(about: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]):
    needed = (PROJECTOR, "bilm.query_tokens", "image_queries", "text_queries")
    missing = [name for name in needed if name not in shapes]
    if missing:
        raise BridgeError(f"no OmniBridge checkpoint: it lacks {', '.join(missing)}")
    own = about.get(OWN, {})
    d_model, hidden = shapes[PROJECTOR]
    return {
        **qwen2_vl.read(about, shapes),
        "projector": {"family": "projector", "hidden": hidden, "d_model": d_model},
        "aligner": _aligner(shapes, d_model, own),
        "retrieval": {
            "family": "retrieval",
            "d_model": d_model,
            "out": shapes["image_proj.cross_attn.proj.weight"][0],
            "pool_heads": own.get("pool_heads", POOL_HEADS),
            "image_queries": shapes["image_queries"][1],
            "text_queries": shapes["text_queries"][1],
            # The released embeddings depend on it, see the parity fixture.
            "mask_padding": own.get("mask_padding", False),
        },
    }


def _aligner(
    shapes: Mapping[str, tuple[int, ...]], d_model: int, own
) -> dict[str, Any]:
    name = r"bilm\.block\.(\d+)\.layer\.1\.EncDecAttention\.q\.weight"
    blocks = {int(m[1]) for n in shapes if (m := re.match(r"bilm\.block\.(\d+)\.", n))}
    cross = sorted(int(m[1]) for n in shapes if (m := re.fullmatch(name, n)))
    first = "bilm.block.0.layer.0.SelfAttention"
    buckets, heads = shapes[f"{first}.relative_attention_bias.weight"]
    inner = shapes[f"{first}.q.weight"][0]
    feed_forward = f"bilm.block.0.layer.{2 if 0 in cross else 1}.DenseReluDense"
    return {
        "family": "bitransformer",
        "layers": len(blocks),
        "d_model": d_model,
        "heads": heads,
        "d_kv": inner // heads,
        "d_ff": shapes[f"{feed_forward}.wi_0.weight"][0],
        "buckets": buckets,
        "max_distance": own.get("max_distance", 128),
        "cross_layers": tuple(cross),
        "queries": shapes["bilm.query_tokens"][1],
    }


def rules(configs: Mapping[str, Any]) -> dict[str, tuple[Rule, ...]]:
    return {
        **qwen2_vl.rules(configs),
        "projector": projector.rules(configs["projector"]),
        "aligner": aligner.rules(configs["aligner"]),
        "retrieval": retrieval.rules(configs["retrieval"]),
    }


def write(configs: Mapping[str, Any], about: Mapping[str, Any]) -> dict[str, Any]:
    own = {
        "pool_heads": configs["retrieval"].pool_heads,
        "mask_padding": configs["retrieval"].mask_padding,
        "max_distance": configs["aligner"].max_distance,
    }
    return qwen2_vl.write(configs, about) | {OWN: own}
