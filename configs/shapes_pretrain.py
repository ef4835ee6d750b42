"""The parts that OmniBridge takes as pretrained, on the shapes world.

    bridge pretrain --config configs/shapes_pretrain.py:autoencoder --workdir runs/vae1
    bridge pretrain --config configs/shapes_pretrain.py:smoother --workdir runs/vae2
    bridge pretrain --config configs/shapes_pretrain.py:smoothest --workdir runs/vae3
    bridge pretrain --config configs/shapes_pretrain.py:pixels --workdir runs/vae
    bridge pretrain --config configs/shapes_pretrain.py:decoder --workdir runs/dit1
    bridge pretrain --workdir runs/dit \
        --config configs/shapes_pretrain.py:decoder_longer
    bridge pretrain --config configs/shapes_pretrain.py:vlm --workdir runs/vlm

Each accepts `:tiny` after its name (`:vlm-tiny`): a few steps, to see that it runs.
"""

from configs import common


def get_config(variant="vlm"):
    return common.recipe(RECIPES, variant, "vlm")


def autoencoder():
    """KL autoencoder, first of three runs: it learns to reconstruct.

    The next two pull its latents to N(0, 1), a little and then harder: the smoother
    they are, the easier they are to generate.
    """
    return common.ConfigDict(
        dict(
            entry="pretrain",
            seed=0,
            model=common.parts(common.TINY, "vae"),
            streams=dict(main=dict(source="shapes_images", batch=16)),
            objectives=dict(
                autoencoder=dict(weight=1.0, squared_weight=2.0, kl_weight=1e-4)
            ),
            optim=dict(
                learning_rate=3e-3,
                schedule="cosine",
                warmup_steps=50,
                ema_decay=0.995,
            ),
            total_steps=3000,
            log_every=100,
            checkpoint_every=500,
            pictures_every=0,
        )
    )


def smoother():
    """The autoencoder's second run; its third is `smoothest`."""
    config = autoencoder()
    config.init_from = dict(vae="runs/vae1:vae")
    config.objectives.autoencoder.kl_weight = 5e-3
    config.optim.learning_rate = 1e-3
    config.total_steps = 1000
    return config


def smoothest():
    """The autoencoder's third run."""
    config = smoother()
    config.init_from = dict(vae="runs/vae2:vae")
    config.objectives.autoencoder.kl_weight = 2e-2
    config.total_steps = 800
    return config


def pixels():
    """The autoencoder's way back to pixels, finished alone: the latents stay.

    So it may train while, or after, a latent decoder learns on them, as the fine-tuned
    decoders of Stable Diffusion's autoencoder did.
    """
    config = autoencoder()
    config.init_from = dict(vae="runs/vae3:vae")
    config.objectives.autoencoder = dict(
        weight=1.0, squared_weight=8.0, kl_weight=0.0, noise_scale=0.3
    )
    config.optim.learning_rate = 2e-3
    config.optim.trainable = (
        (r"vae/(decoder|post_quant)/.*", True),
        (r".*", False),
    )
    config.total_steps = 500
    return config


def decoder():
    """Text-conditioned latent diffusion; its two text encoders learn with it."""
    return common.ConfigDict(
        dict(
            entry="pretrain",
            seed=0,
            model=common.parts(common.TINY, "mt5", "bert", "dit", "vae"),
            init_from=dict(vae="runs/vae3:vae"),
            streams=dict(main=dict(source="shapes_text_to_image", batch=32)),
            objectives=dict(diffusion=dict(weight=1.0, condition="text", draws=4)),
            optim=dict(
                name="muon",
                learning_rate=3e-3,
                schedule="cosine",
                warmup_steps=100,
                weight_decay=0.01,
                b2=0.99,
                ema_decay=0.998,
                trainable=(("vae/.*", False), (".*", True)),
            ),
            total_steps=3300,
            log_every=50,
            checkpoint_every=500,
            pictures_every=0,
        )
    )


def decoder_longer():
    """The decoder alone goes on.

    Its text encoders stay, so what learns to stand in for them may train meanwhile.
    """
    config = decoder()
    config.init_from = {
        "vae": "runs/vae3:vae",
        **{part: f"runs/dit1:{part}" for part in ("mt5", "bert", "dit")},
    }
    config.seed = 1  # other noise,
    config.streams.main.seed = 1  # on other scenes
    config.optim.learning_rate = 1.5e-3
    config.optim.warmup_steps = 30
    config.optim.trainable = ((r"dit/.*", True), (r".*", False))
    config.total_steps = 1400
    return config


def vlm():
    """Vision-language model: pictures and their captions, next token by next token.

    Some of the colors have no name: see `streams/shapes_caption.py`.
    """
    return common.ConfigDict(
        dict(
            entry="pretrain",
            seed=0,
            model=common.parts(common.TINY, "vlm"),
            streams=dict(
                main=dict(source="shapes_caption", batch=64, tinted=0.4, slips=0.2)
            ),
            # The longest captions have some 33 tokens.
            objectives=dict(sft=dict(weight=1.0, learnt=40)),
            optim=dict(
                name="muon",
                learning_rate=5e-3,
                schedule="cosine",
                warmup_steps=60,
                final_fraction=0.02,
                weight_decay=0.01,
                b2=0.99,
                ema_decay=0.995,
            ),
            total_steps=1400,
            log_every=50,
            checkpoint_every=350,
            pictures_every=0,
        )
    )


RECIPES = (
    autoencoder,
    smoother,
    smoothest,
    pixels,
    decoder,
    decoder_longer,
    vlm,
)
VARIANTS = common.variants(RECIPES)
