"""The shipped shapes-tiny goes on learning: longer runs, most of them for a GPU.

`bash launch/longer.sh` runs these, the last one from what the two before it gave:

    bridge train --config configs/shapes_longer.py:decoder --workdir runs/decoder
    bridge train --config configs/shapes_longer.py:stage1 --workdir runs/stage1
    bridge train --config configs/shapes_longer.py:stage2 --workdir runs/stage2 \\
        --config.init_from.vlm=runs/stage1:vlm \\
        --config.init_from.mt5=runs/decoder:mt5 \\
        --config.init_from.bert=runs/decoder:bert \\
        --config.init_from.dit=runs/decoder:dit

What they add to the recipes of the shipped weights is time, larger batches, and
pictures in colors without a name for the decoder, too. The rows are made in processes
of their own: one would keep a GPU waiting.

Two are for a CPU, and `bash launch/longer_cpu.sh` runs them: an autoencoder that draws
what training never shows, and the decoder that learns its latents.

    bridge train --config configs/shapes_longer.py:autoencoder --workdir runs/vae
    bridge train --config configs/shapes_longer.py:decoder_alone --workdir runs/dit \\
        --config.init_from.vae=runs/vae:vae

Each variant accepts `-tiny` after its name.
"""

from configs import common, shapes_pretrain, shapes_stage1, shapes_stage2

SHIPPED = "shapes-tiny"
READERS = 12


def get_config(variant="decoder"):
    name, _, tiny = (variant or "decoder").partition("-")
    if name == "tiny":
        name, tiny = "decoder", "tiny"
    config = {recipe.__name__: recipe for recipe in RECIPES}[name]()
    if tiny:
        config.reader_processes = 0
        return common.smoke(config)
    return config


def _go_on(config, *parts):
    config.init_from = {part: f"{SHIPPED}:{part}" for part in parts}
    config.seed = 2  # other noise,
    for stream in config.streams.values():
        stream.seed = 2  # on other rows
    config.reader_processes = READERS
    config.log_every = 200
    config.checkpoint_every = 4000
    config.optim.ema_decay = 0.999
    return config


def autoencoder():
    """The autoencoder, both ways, shown nothing in a color that has a name.

    Shown those, it learns which shapes they never have, and draws no green star.
    """
    config = _go_on(shapes_pretrain.autoencoder(), "vae")
    config.streams.main.tinted = 1.0
    config.objectives.autoencoder = dict(
        weight=1.0, squared_weight=8.0, kl_weight=1e-2, noise_scale=0.3
    )
    config.optim.learning_rate = 2e-3
    config.optim.ema_decay = 0.995
    config.total_steps = 1500
    config.checkpoint_every = 500
    config.reader_processes = 0
    return config


def decoder():
    """The text-conditioned decoder and its text encoders; the autoencoder stays."""
    config = _go_on(shapes_pretrain.decoder(), "mt5", "bert", "dit", "vae")
    config.streams.main.batch = 64
    config.streams.main.tinted = 0.3
    config.objectives.diffusion.draws = 8
    config.optim.learning_rate = 2e-3
    config.total_steps = 14000
    return config


def decoder_alone():
    """The decoder learns the latents of `autoencoder`, on a CPU, too.

    Its text encoders stay, and so may what has learnt to stand in for them. Tints are
    far from all named colors: those that are almost purple, and not called so, teach
    that purple squares are not purple.
    """
    config = decoder()
    config.init_from.vae = "runs/vae:vae"
    config.streams.main.update(batch=32, tinted=0.4, unlike=64.0)
    config.objectives.diffusion.draws = 4
    config.optim.trainable = ((r"dit/.*", True), (r".*", False))
    config.optim.warmup_steps = 50
    config.optim.ema_decay = 0.998
    config.matmul_precision = "BF16_BF16_F32"  # some CPUs have units for it
    config.total_steps = 3600
    config.log_every = 50
    config.checkpoint_every = 200
    config.reader_processes = 0
    return config


def stage1():
    """Stage 1 with all of the language model's lessons, the vision tower with it."""
    config = _go_on(shapes_stage1.get_config("moves"), "vlm")
    config.streams.main.update(edit=0.7, moves=0.3)
    config.streams.caption.update(batch=32, tinted=0.4)
    config.optim.trainable = ((r".*", True),)
    config.optim.learning_rate = 2e-3
    config.total_steps = 7000
    return config


def stage2():
    """Stage 2, alignment, with the language model and the decoder of the other two."""
    config = _go_on(shapes_stage2.get_config("reasons"), *common.TINY)
    config.streams.generate.batch = 64
    config.streams.retrieve.batch = 192
    config.optim.learning_rate = 2e-3
    config.total_steps = 6000
    return config


RECIPES = (autoencoder, decoder, decoder_alone, stage1, stage2)
NAMES = tuple(recipe.__name__ for recipe in RECIPES)
VARIANTS = (*NAMES, *(f"{name}-tiny" for name in NAMES), "tiny")
