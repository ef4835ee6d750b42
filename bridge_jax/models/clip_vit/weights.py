"""Tensor names of CLIPVisionModel, and of the vision half of CLIPModel."""

from bridge_jax.core.weights import Rule
from bridge_jax.models.clip_vit.config import Config

_DENSE = (
    ("self_attn.q_proj", "query"),
    ("self_attn.k_proj", "key"),
    ("self_attn.v_proj", "value"),
    ("self_attn.out_proj", "out"),
    ("mlp.fc1", "up"),
    ("mlp.fc2", "down"),
)
_NORMS = (("layer_norm1", "attention_norm"), ("layer_norm2", "mlp_norm"))


def rules(config: Config, prefix: str = "vision_model.") -> tuple[Rule, ...]:
    """One rule a tensor; `pre_layrnorm` is how it is spelled."""
    shape = (config.hidden, config.channels, config.patch, config.patch)
    first = f"{prefix}embeddings"
    found = [
        Rule(f"{first}.class_embedding", "class_token"),
        Rule(f"{first}.patch_embedding.weight", "patch_embed/kernel", "patch", shape),
        Rule(f"{first}.position_embedding.weight", "position"),
        *_norm(f"{prefix}pre_layrnorm", "first_norm"),
        *_norm(f"{prefix}post_layernorm", "last_norm"),
    ]
    for i in range(config.layers):
        theirs, ours = f"{prefix}encoder.layers.{i}", f"layers_{i}"
        for name, role in _DENSE:
            source, path = f"{theirs}.{name}", f"{ours}/{role}"
            found.append(Rule(f"{source}.weight", f"{path}/kernel", "transpose"))
            found.append(Rule(f"{source}.bias", f"{path}/bias"))
        for name, role in _NORMS:
            found += _norm(f"{theirs}.{name}", f"{ours}/{role}")
    return tuple(found)


def _norm(theirs: str, ours: str) -> list[Rule]:
    return [
        Rule(f"{theirs}.weight", f"{ours}/scale"),
        Rule(f"{theirs}.bias", f"{ours}/bias"),
    ]
