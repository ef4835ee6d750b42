"""Tensor names of diffusers' HunyuanDiT2DModel (`transformer/` of a pipeline).

Queries, keys and values stand apart, the norms of cross-attention and feed-forward have
each other's number, and the last modulation brings scale before shift.
"""

from bridge_jax.core.weights import Rule
from bridge_jax.models.hunyuan_dit.config import Config

_TIME = "time_extra_emb"


def rules(config: Config) -> tuple[Rule, ...]:
    """One rule a tensor."""
    patch_shape = (config.hidden, config.in_channels, config.patch, config.patch)
    table = [
        Rule("pos_embed.proj.weight", "patch_embed/kernel", "patch", patch_shape),
        Rule("pos_embed.proj.bias", "patch_embed/bias"),
        Rule("text_embedding_padding", "text_padding"),
        *_linear(f"{_TIME}.timestep_embedder.linear_1", "time_embed/mlp/fc1"),
        *_linear(f"{_TIME}.timestep_embedder.linear_2", "time_embed/mlp/fc2"),
        *_linear("text_embedder.linear_1", "t5_mlp/fc1"),
        *_linear("text_embedder.linear_2", "t5_mlp/fc2"),
        Rule(f"{_TIME}.pooler.positional_embedding", "pooler/position"),
        *_linear(f"{_TIME}.pooler.q_proj", "pooler/query"),
        *_linear(f"{_TIME}.pooler.k_proj", "pooler/key"),
        *_linear(f"{_TIME}.pooler.v_proj", "pooler/value"),
        *_linear(f"{_TIME}.pooler.c_proj", "pooler/output"),
        *_linear(f"{_TIME}.extra_embedder.linear_1", "vector_mlp/fc1"),
        *_linear(f"{_TIME}.extra_embedder.linear_2", "vector_mlp/fc2"),
        Rule("norm_out.linear.weight", "final/modulation/kernel", "swap_transpose"),
        Rule("norm_out.linear.bias", "final/modulation/bias", "swap"),
        *_linear("proj_out", "final/projection"),
    ]
    for layer in range(config.depth):
        table += _block(config, layer)
    return tuple(table)


def _block(config: Config, layer: int) -> list[Rule]:
    theirs, ours = f"blocks.{layer}", f"blocks_{layer}"
    inner, outer = f"{ours}/self_attention", f"{ours}/cross_attention"
    table = [
        *_linear(f"{theirs}.norm1.linear", f"{ours}/shift"),
        *_norm(f"{theirs}.norm1.norm", f"{ours}/self_norm"),
        *_pieces(f"{theirs}.attn1", ("to_q", "to_k", "to_v"), f"{inner}/qkv"),
        *_linear(f"{theirs}.attn1.to_out.0", f"{inner}/output"),
        *_norm(f"{theirs}.norm2", f"{ours}/cross_norm"),
        *_linear(f"{theirs}.attn2.to_q", f"{outer}/query"),
        *_pieces(f"{theirs}.attn2", ("to_k", "to_v"), f"{outer}/key_value"),
        *_linear(f"{theirs}.attn2.to_out.0", f"{outer}/output"),
        *_norm(f"{theirs}.norm3", f"{ours}/mlp_norm"),
        *_linear(f"{theirs}.ff.net.0.proj", f"{ours}/mlp/fc1"),
        *_linear(f"{theirs}.ff.net.2", f"{ours}/mlp/fc2"),
    ]
    if config.qk_norm:
        for number, kind in (("attn1", inner), ("attn2", outer)):
            table += _norm(f"{theirs}.{number}.norm_q", f"{kind}/query_norm")
            table += _norm(f"{theirs}.{number}.norm_k", f"{kind}/key_norm")
    if config.has_skip(layer):
        table += _norm(f"{theirs}.skip_norm", f"{ours}/skip_norm")
        table += _linear(f"{theirs}.skip_linear", f"{ours}/skip_linear")
    return table


def _pieces(theirs: str, names: tuple[str, ...], ours: str) -> list[Rule]:
    return [
        Rule(f"{theirs}.{name}.{kind}", f"{ours}/{leaf}", how, piece=(i, len(names)))
        for i, name in enumerate(names)
        for kind, leaf, how in (
            ("weight", "kernel", "transpose"),
            ("bias", "bias", "copy"),
        )
    ]


def _linear(theirs: str, ours: str) -> list[Rule]:
    return [
        Rule(f"{theirs}.weight", f"{ours}/kernel", "transpose"),
        Rule(f"{theirs}.bias", f"{ours}/bias"),
    ]


def _norm(theirs: str, ours: str) -> list[Rule]:
    return [
        Rule(f"{theirs}.weight", f"{ours}/scale"),
        Rule(f"{theirs}.bias", f"{ours}/bias"),
    ]
