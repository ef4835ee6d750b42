"""Encoders of transformers, from our configs of the same sizes."""

import transformers

from bridge_jax.layers import t5
from bridge_jax.models.clip_vit.config import Config as Clip
from bridge_jax.models.mt5.config import Config as Mt5


def mt5(config: Mt5) -> transformers.MT5EncoderModel:
    """With random weights."""
    return transformers.MT5EncoderModel(mt5_config(config, vocab_size=config.vocab))


def mt5_config(config: t5.StackConfig, **more: int) -> transformers.MT5Config:
    """Of any stack of T5 blocks."""
    return transformers.MT5Config(
        d_model=config.d_model,
        d_kv=config.d_kv,
        d_ff=config.d_ff,
        num_layers=config.layers,
        num_heads=config.heads,
        relative_attention_num_buckets=config.buckets,
        relative_attention_max_distance=config.max_distance,
        layer_norm_epsilon=config.eps,
        **more,
    )


def clip(config: Clip) -> transformers.CLIPVisionModel:
    """With random weights."""
    return transformers.CLIPVisionModel(
        transformers.CLIPVisionConfig(
            hidden_size=config.hidden,
            intermediate_size=config.ffn,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            image_size=config.image,
            patch_size=config.patch,
        )
    )
