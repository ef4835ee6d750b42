"""OmniBridge in torch: Qwen2-VL of transformers, and around it what the released file
names: a projector, an aligner of mT5's blocks, heads for retrieval.

Written from arXiv 2509.19018 and the names of the tensors. B rows, S memory positions,
Q learned queries, D aligner width, E embedding.
"""

import torch
import torch.nn.functional as F
import transformers
from torch import nn
from transformers.models.mt5 import modeling_mt5 as mt5

from bridge_jax.bench.side_by_side.peers import encoders, qwen2_vl
from bridge_jax.models.bitransformer.config import Config as AlignerConfig
from bridge_jax.models.qwen2_vl.config import Config as LlmConfig
from bridge_jax.models.retrieval.config import Config as HeadsConfig


def make(llm: LlmConfig, aligner: AlignerConfig, heads: HeadsConfig) -> "OmniBridge":
    """With random weights."""
    return OmniBridge(qwen2_vl.settings(llm), aligner, heads)


def speak_up(model: "OmniBridge", times: float) -> None:
    """Make words stand out from what layers add to them.

    Words of a random model score almost alike. Half precision rounds such scores to
    ties, which two sides break as they like, and then they decode different captions.
    """
    with torch.no_grad():
        model.get_input_embeddings().weight.mul_(times)


class OmniBridge(transformers.Qwen2VLForConditionalGeneration):
    """What it has beyond Qwen2-VL stands beside `model` and `lm_head`."""

    def __init__(
        self,
        config: transformers.Qwen2VLConfig,
        aligner: AlignerConfig,
        heads: HeadsConfig,
    ):
        super().__init__(config)
        config.omnibridge = {
            "pool_heads": heads.pool_heads,
            "mask_padding": heads.mask_padding,
            "max_distance": aligner.max_distance,
        }
        hidden, width = config.text_config.hidden_size, aligner.d_model
        self.downsampling_linear_layer = nn.Linear(hidden, width, bias=False)
        self.bilm = Aligner(aligner)
        for name, count in (
            ("image", heads.image_queries),
            ("text", heads.text_queries),
        ):
            setattr(self, f"{name}_queries", _queries(count, width))
            setattr(self, f"{name}_proj", AttentionPool(heads))
            setattr(self, f"{name}_proj_1", AttentionPool(heads))
            setattr(self, f"fusion_alpha_{name}", nn.Parameter(torch.zeros(1)))
        self.logit_scale = nn.Parameter(torch.zeros(1))

    def embed(self, states: torch.Tensor, modality: str) -> torch.Tensor:
        """The LLM's states [B, S, hidden] of "image" or "text" -> [B, E]."""
        memory = self.downsampling_linear_layer(states)
        queries = getattr(self, f"{modality}_queries").expand(len(memory), -1, -1)
        found = getattr(self, f"{modality}_proj")(self.bilm(queries, memory))
        pooled = getattr(self, f"{modality}_proj_1")(memory)
        share = getattr(self, f"fusion_alpha_{modality}").float().sigmoid()
        found, pooled = (F.normalize(one.float(), dim=-1) for one in (found, pooled))
        return F.normalize(share * found + (1 - share) * pooled, dim=-1)


class Aligner(nn.Module):
    """mT5's encoder with cross-attention in some blocks, and learned queries."""

    def __init__(self, config: AlignerConfig):
        super().__init__()
        settings = encoders.mt5_config(config, attn_implementation="sdpa")
        self.query_tokens = _queries(config.queries, config.d_model)
        self.block = nn.ModuleList(
            Block(settings, i == 0, i in config.cross_layers)
            for i in range(config.layers)
        )
        self.final_layer_norm = mt5.MT5LayerNorm(config.d_model, config.eps)

    def forward(self, embeddings: torch.Tensor, memory: torch.Tensor) -> torch.Tensor:
        """embeddings [B, Q, D], memory [B, S, D] -> [B, Q, D]."""
        x, bias = embeddings, None
        for block in self.block:
            x, bias = block(x, memory, bias)
        return self.final_layer_norm(x)


class Block(nn.Module):
    """Self-attention, cross-attention where there is any, feed-forward."""

    def __init__(self, settings: transformers.MT5Config, first: bool, cross: bool):
        super().__init__()
        layers = [mt5.MT5LayerSelfAttention(settings, first)]
        if cross:
            layers.append(mt5.MT5LayerCrossAttention(settings))
        self.layer = nn.ModuleList([*layers, mt5.MT5LayerFF(settings)])

    def forward(self, x, memory, bias):
        """Also the position bias, which the first block makes for all."""
        attend, *cross, feed_forward = self.layer
        x, bias = attend(x, position_bias=bias)[:2]
        for one in cross:
            x = one(x, key_value_states=memory)[0]
        return feed_forward(x), bias


class AttentionPool(nn.Module):
    """The mean of a sequence asks all of it."""

    def __init__(self, config: HeadsConfig):
        super().__init__()
        width = config.d_model
        for name in ("norm1_q", "norm1_k", "norm1_v"):
            setattr(self, name, nn.LayerNorm(width, config.eps))
        self.cross_attn = nn.ModuleDict(
            {name: nn.Linear(width, width) for name in ("q", "k", "v")}
            | {"proj": nn.Linear(width, config.out)}
        )
        self.heads = config.pool_heads

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, S, D] -> [B, E]."""
        inputs = {
            "q": self.norm1_q(x.mean(1, keepdim=True)),
            "k": self.norm1_k(x),
            "v": self.norm1_v(x),
        }
        q, k, v = (
            self.cross_attn[name](one).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for name, one in inputs.items()
        )
        mixed = F.scaled_dot_product_attention(q, k, v)
        return self.cross_attn["proj"](mixed.transpose(1, 2).flatten(1))


def _queries(count: int, width: int) -> nn.Parameter:
    return nn.Parameter(0.02 * torch.randn(1, count, width))
