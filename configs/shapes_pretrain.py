"""The parts that OmniBridge takes as pretrained, on the shapes world.

    bridge pretrain --config configs/shapes_pretrain.py:autoencoder --workdir runs/vae
    bridge pretrain --config configs/shapes_pretrain.py:decoder --workdir runs/dit \\
        --config.init_from.vae=runs/vae:vae
    bridge pretrain --config configs/shapes_pretrain.py:pixels --workdir runs/pixels \\
        --config.init_from.vae=runs/vae:vae
    bridge pretrain --config configs/shapes_pretrain.py:vlm --workdir runs/vlm

Each accepts `:tiny` after its name (`:vlm-tiny`): a few steps, to see that it runs.
"""

from configs import common

PARTS = ("autoencoder", "pixels", "decoder", "vlm")
VARIANTS = (*PARTS, *(f"{part}-tiny" for part in PARTS), "tiny")


def get_config(variant="vlm"):
    part, _, tiny = (variant or "vlm").partition("-")
    if part == "tiny":
        part, tiny = "vlm", "tiny"
    recipes = {
        "autoencoder": autoencoder,
        "pixels": pixels,
        "decoder": decoder,
        "vlm": vlm,
    }
    config = recipes[part]()
    return common.smoke(config) if tiny else config


def autoencoder():
    """KL autoencoder: absolute error and a light pull of the latents to N(0, 1)."""
    return common.ConfigDict(
        dict(
            entry="pretrain",
            seed=0,
            model=common.parts(common.TINY, "vae"),
            streams=dict(main=dict(source="shapes_images", batch=16)),
            objectives=dict(
                autoencoder=dict(
                    weight=1.0, squared_weight=2.0, kl_weight=3e-2, kl_warmup_steps=2000
                )
            ),
            optim=dict(
                learning_rate=3e-3,
                schedule="cosine",
                warmup_steps=50,
                ema_decay=0.995,
            ),
            total_steps=5000,
            log_every=100,
            checkpoint_every=500,
            pictures_every=0,
        )
    )


def pixels():
    """The autoencoder's way back to pixels, finished alone: the latents stay as they are.

    So it may train while, or after, a latent decoder learns on them, as the fine-tuned
    decoders of Stable Diffusion's autoencoder did.
    """
    config = autoencoder()
    config.init_from = dict(vae="runs/vae:vae")
    config.objectives.autoencoder = dict(
        weight=1.0, squared_weight=8.0, kl_weight=0.0, noise_scale=0.3
    )
    config.optim.learning_rate = 2e-3
    config.optim.trainable = (
        (r"vae/(decoder|post_quant)/.*", True),
        (r".*", False),
    )
    config.total_steps = 2500
    return config


def decoder():
    """Text-conditioned latent diffusion; its two text encoders learn with it."""
    return common.ConfigDict(
        dict(
            entry="pretrain",
            seed=0,
            model=common.parts(common.TINY, "mt5", "bert", "dit", "vae"),
            init_from=dict(vae="runs/vae:vae"),
            streams=dict(main=dict(source="shapes_text_to_image", batch=64)),
            objectives=dict(diffusion=dict(weight=1.0, condition="text")),
            optim=dict(
                learning_rate=1.5e-3,
                schedule="cosine",
                warmup_steps=200,
                weight_decay=0.01,
                b2=0.99,
                ema_decay=0.999,
                trainable=(("vae/.*", False), (".*", True)),
            ),
            total_steps=6500,
            log_every=100,
            checkpoint_every=500,
            pictures_every=0,
        )
    )


def vlm():
    """Vision-language model: pictures and their captions, next token by next token."""
    return common.ConfigDict(
        dict(
            entry="pretrain",
            seed=0,
            model=common.parts(common.TINY, "vlm"),
            streams=dict(main=dict(source="shapes_caption", batch=64, tinted=0.0)),
            objectives=dict(sft=dict(weight=1.0)),
            optim=dict(
                learning_rate=2e-3,
                schedule="cosine",
                warmup_steps=200,
                final_fraction=0.1,
                weight_decay=0.01,
                b2=0.99,
                ema_decay=0.998,
            ),
            total_steps=2000,
            log_every=50,
            checkpoint_every=500,
            pictures_every=0,
        )
    )
