"""Released Qwen2-VL tensor names <-> our parameter tree."""

from bridge_jax.core.weights import Rule
from bridge_jax.models.qwen2_vl.config import Config


def rules(config: Config) -> tuple[Rule, ...]:
    """One rule for each tensor of a released checkpoint."""
    return (*vision_rules(config), *language_rules(config))


def vision_rules(config: Config) -> tuple[Rule, ...]:
    """The tower alone: `visual.*`."""
    vision = config.vision
    kernel = (vision.temporal_patch, vision.patch, vision.patch)
    patch = Rule(
        "visual.patch_embed.proj.weight",
        "vision/patch_embed/kernel",
        "patch",
        shape=(vision.dim, vision.channels, *kernel),
    )
    found = [patch]
    for i in range(vision.depth):
        theirs, ours = f"visual.blocks.{i}", f"vision/blocks_{i}"
        found += _layer_norm(f"{theirs}.norm1", f"{ours}/attention_norm")
        found += _linear(f"{theirs}.attn.qkv", f"{ours}/attention/qkv")
        found += _linear(f"{theirs}.attn.proj", f"{ours}/attention/out")
        found += _layer_norm(f"{theirs}.norm2", f"{ours}/mlp_norm")
        found += _linear(f"{theirs}.mlp.fc1", f"{ours}/mlp/up")
        found += _linear(f"{theirs}.mlp.fc2", f"{ours}/mlp/down")
    found += _layer_norm("visual.merger.ln_q", "vision/merger/norm")
    found += _linear("visual.merger.mlp.0", "vision/merger/up")
    found += _linear("visual.merger.mlp.2", "vision/merger/down")
    return tuple(found)


def language_rules(config: Config) -> tuple[Rule, ...]:
    """The decoder alone: `model.*` and, where it is not tied, `lm_head`."""
    found = [Rule("model.embed_tokens.weight", "llm/embed_tokens/embedding")]
    for i in range(config.layers):
        theirs, ours = f"model.layers.{i}", f"llm/layers_{i}"
        found += _scale(f"{theirs}.input_layernorm", f"{ours}/attention_norm")
        for name, role in (("q", "query"), ("k", "key"), ("v", "value")):
            found += _linear(
                f"{theirs}.self_attn.{name}_proj", f"{ours}/attention/{role}"
            )
        found += _kernel(f"{theirs}.self_attn.o_proj", f"{ours}/attention/out")
        found += _scale(f"{theirs}.post_attention_layernorm", f"{ours}/mlp_norm")
        for role in ("gate", "up", "down"):
            found += _kernel(f"{theirs}.mlp.{role}_proj", f"{ours}/mlp/{role}")
    found += _scale("model.norm", "llm/norm")
    if not config.tied_embeddings:
        found.append(Rule("lm_head.weight", "llm/head/embedding"))
    return tuple(found)


def _kernel(theirs: str, ours: str) -> list[Rule]:
    return [Rule(f"{theirs}.weight", f"{ours}/kernel", "transpose")]


def _linear(theirs: str, ours: str) -> list[Rule]:
    return [*_kernel(theirs, ours), Rule(f"{theirs}.bias", f"{ours}/bias")]


def _scale(theirs: str, ours: str) -> list[Rule]:
    return [Rule(f"{theirs}.weight", f"{ours}/scale")]


def _layer_norm(theirs: str, ours: str) -> list[Rule]:
    return [*_scale(theirs, ours), Rule(f"{theirs}.bias", f"{ours}/bias")]
