"""Qwen2-VL of transformers, from our names of sizes."""

import transformers

from bridge_jax.models.qwen2_vl.config import Config


def make(config: Config) -> transformers.Qwen2VLForConditionalGeneration:
    """A model of the same sizes with random weights."""
    return transformers.Qwen2VLForConditionalGeneration(settings(config))


def settings(config: Config) -> transformers.Qwen2VLConfig:
    """Their config of the same sizes."""
    c, v = config, config.vision
    made = transformers.Qwen2VLConfig(
        text_config={
            "vocab_size": c.vocab_size,
            "hidden_size": c.hidden_size,
            "intermediate_size": c.ffn_size,
            "num_hidden_layers": c.layers,
            "num_attention_heads": c.heads,
            "num_key_value_heads": c.kv_heads,
            "rms_norm_eps": c.eps,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": c.theta,
                "mrope_section": list(c.mrope_sections),
            },
        },
        vision_config={
            "depth": v.depth,
            "embed_dim": v.dim,
            "num_heads": v.heads,
            "hidden_size": c.hidden_size,
            "patch_size": v.patch,
            "mlp_ratio": v.mlp_ratio,
        },
        image_token_id=c.image_pad,
        video_token_id=c.video_pad,
        vision_start_token_id=c.vision_start,
        vision_end_token_id=c.vision_end,
        tie_word_embeddings=c.tied_embeddings,
    )
    made.get_text_config().tie_word_embeddings = c.tied_embeddings
    return made
