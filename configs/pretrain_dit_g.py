"""Text-to-image pretraining of HunyuanDiT's DiT-g/2 at 512 pixels.

    bridge pretrain --config configs/pretrain_dit_g.py --workdir runs/dit \\
        --config.init_from.mt5=weights/mt5_xl:mt5 \\
        --config.init_from.bert=weights/hunyuan_dit:bert \\
        --config.init_from.vae=weights/sdxl:vae

v-prediction with frozen text encoders and autoencoder (arXiv 2405.08748); AdamW at
1e-4 and the average's decay are those of its released training code. Its pictures are
the shapes world's, resampled: endless, synthetic, the right shapes for measuring speed
and fit. `:tiny` is a smoke test.
"""

from configs import common

VARIANTS = ("", "tiny")


def get_config(variant=""):
    config = common.ConfigDict(
        dict(
            entry="pretrain",
            seed=0,
            model=common.published("7b", "mt5", "bert", "dit", "vae"),
            init_from=dict(),
            processor=dict(common.PUBLISHED_PROCESSOR),
            streams=dict(
                main=dict(source="shapes_text_to_image", batch=512, image_size=512)
            ),
            objectives=dict(diffusion=dict(weight=1.0, condition="text")),
            optim=dict(
                learning_rate=1e-4,
                schedule="constant",
                warmup_steps=1000,
                weight_decay=0.0,
                ema_decay=0.9999,
                trainable=((r"dit/.*", True), (r".*", False)),
            ),
            mesh=dict(data=1, fsdp=-1, tensor=1),
            rules="fsdp_tp",
            total_steps=200000,
            log_every=10,
            checkpoint_every=1000,
            pictures_every=0,
        )
    )
    return common.tiny(config) if variant == "tiny" else config
