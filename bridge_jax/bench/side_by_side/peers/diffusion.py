"""Decoder, autoencoder and pipeline of diffusers, from our configs of sizes."""

import diffusers

from bridge_jax.models.autoencoder_kl.config import Config as Vae
from bridge_jax.models.hunyuan_dit.config import Config as Dit

BETAS = {
    "num_train_timesteps": 1000,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "beta_end": 0.02,
    "prediction_type": "v_prediction",
}


def hunyuan_dit(config: Dit) -> diffusers.HunyuanDiT2DModel:
    """With random weights."""
    return diffusers.HunyuanDiT2DModel(
        num_attention_heads=config.heads,
        attention_head_dim=config.head_dim,
        in_channels=config.in_channels,
        patch_size=config.patch,
        sample_size=config.input_size,
        hidden_size=config.hidden,
        num_layers=config.depth,
        mlp_ratio=config.mlp_ratio,
        cross_attention_dim=config.clip_dim,
        cross_attention_dim_t5=config.t5_dim,
        text_len=config.clip_length,
        text_len_t5=config.t5_length,
        pooled_projection_dim=config.pooler_out,
        use_style_cond_and_image_meta_size=False,
    )


def autoencoder_kl(config: Vae) -> diffusers.AutoencoderKL:
    """With random weights."""
    levels = len(config.block_out_channels)
    return diffusers.AutoencoderKL(
        block_out_channels=config.block_out_channels,
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        layers_per_block=config.layers_per_block,
        latent_channels=config.latent_channels,
        norm_num_groups=config.norm_groups,
        scaling_factor=config.scaling_factor,
    )


def pipeline(dit, vae) -> diffusers.HunyuanDiTPipeline:
    """Draws from text states by DDIM."""
    made = diffusers.HunyuanDiTPipeline(
        vae=vae,
        transformer=dit,
        scheduler=diffusers.DDIMScheduler(**BETAS, clip_sample=False, steps_offset=1),
        text_encoder=None,
        tokenizer=None,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    made.set_progress_bar_config(disable=True)
    return made
