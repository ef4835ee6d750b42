"""Tensor names of the released HunyuanDiT v1.2 (original layout)."""

from bridge_jax.core.weights import Rule
from bridge_jax.models.hunyuan_dit.config import Config


def rules(config: Config) -> tuple[Rule, ...]:
    """One rule a tensor of `pytorch_model_ema.pt`."""
    patch_shape = (config.hidden, config.in_channels, config.patch, config.patch)
    table = [
        Rule("x_embedder.proj.weight", "patch_embed/kernel", "patch", patch_shape),
        Rule("x_embedder.proj.bias", "patch_embed/bias"),
        Rule("text_embedding_padding", "text_padding"),
        *_linear("t_embedder.mlp.0", "time_embed/mlp/fc1"),
        *_linear("t_embedder.mlp.2", "time_embed/mlp/fc2"),
        *_linear("mlp_t5.0", "t5_mlp/fc1"),
        *_linear("mlp_t5.2", "t5_mlp/fc2"),
        Rule("pooler.positional_embedding", "pooler/position"),
        *_linear("pooler.q_proj", "pooler/query"),
        *_linear("pooler.k_proj", "pooler/key"),
        *_linear("pooler.v_proj", "pooler/value"),
        *_linear("pooler.c_proj", "pooler/output"),
        *_linear("extra_embedder.0", "vector_mlp/fc1"),
        *_linear("extra_embedder.2", "vector_mlp/fc2"),
        *_linear("final_layer.adaLN_modulation.1", "final/modulation"),
        *_linear("final_layer.linear", "final/projection"),
    ]
    for layer in range(config.depth):
        table += _block(config, layer)
    return tuple(table)


def _block(config: Config, layer: int) -> list[Rule]:
    theirs, ours = f"blocks.{layer}", f"blocks_{layer}"
    table = [
        *_linear(f"{theirs}.default_modulation.1", f"{ours}/shift"),
        *_norm(f"{theirs}.norm1", f"{ours}/self_norm"),
        *_linear(f"{theirs}.attn1.Wqkv", f"{ours}/self_attention/qkv"),
        *_linear(f"{theirs}.attn1.out_proj", f"{ours}/self_attention/output"),
        *_norm(f"{theirs}.norm3", f"{ours}/cross_norm"),
        *_linear(f"{theirs}.attn2.q_proj", f"{ours}/cross_attention/query"),
        *_linear(f"{theirs}.attn2.kv_proj", f"{ours}/cross_attention/key_value"),
        *_linear(f"{theirs}.attn2.out_proj", f"{ours}/cross_attention/output"),
        *_norm(f"{theirs}.norm2", f"{ours}/mlp_norm"),
        *_linear(f"{theirs}.mlp.fc1", f"{ours}/mlp/fc1"),
        *_linear(f"{theirs}.mlp.fc2", f"{ours}/mlp/fc2"),
    ]
    if config.qk_norm:
        for number, kind in (("attn1", "self_attention"), ("attn2", "cross_attention")):
            table += _norm(f"{theirs}.{number}.q_norm", f"{ours}/{kind}/query_norm")
            table += _norm(f"{theirs}.{number}.k_norm", f"{ours}/{kind}/key_norm")
    if config.has_skip(layer):
        table += _norm(f"{theirs}.skip_norm", f"{ours}/skip_norm")
        table += _linear(f"{theirs}.skip_linear", f"{ours}/skip_linear")
    return table


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
