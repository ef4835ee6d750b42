"""Tensor names of Qwen2ForCausalLM and LlamaForCausalLM."""

from bridge_jax.core.weights import Rule
from bridge_jax.models.decoder_lm.config import Config


def rules(config: Config, prefix: str = "model.") -> tuple[Rule, ...]:
    """One rule a tensor."""
    found = [Rule(f"{prefix}embed_tokens.weight", "llm/embed_tokens/embedding")]
    for i in range(config.layers):
        theirs, ours = f"{prefix}layers.{i}", f"llm/layers_{i}"
        for norm, name in (
            ("input_layernorm", "attention_norm"),
            ("post_attention_layernorm", "mlp_norm"),
        ):
            found.append(Rule(f"{theirs}.{norm}.weight", f"{ours}/{name}/scale"))
        for name, role in (("q", "query"), ("k", "key"), ("v", "value"), ("o", "out")):
            source, path = f"{theirs}.self_attn.{name}_proj", f"{ours}/attention/{role}"
            found.append(Rule(f"{source}.weight", f"{path}/kernel", "transpose"))
            if config.qkv_bias and name != "o":
                found.append(Rule(f"{source}.bias", f"{path}/bias"))
        for role in ("gate", "up", "down"):
            source = f"{theirs}.mlp.{role}_proj.weight"
            found.append(Rule(source, f"{ours}/mlp/{role}/kernel", "transpose"))
    found.append(Rule(f"{prefix}norm.weight", "llm/norm/scale"))
    if not config.tied_embeddings:
        found.append(Rule("lm_head.weight", "llm/head/embedding"))
    return tuple(found)
