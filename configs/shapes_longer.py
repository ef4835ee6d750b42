"""The shipped shapes-tiny goes on learning on a GPU; see `shapes_longer_cpu.py`, too.

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

Each variant accepts `-tiny` after its name.
"""

from configs import common, shapes_pretrain, shapes_stage1, shapes_stage2

SHIPPED = "shapes-tiny"
READERS = 12


def get_config(variant="decoder"):
    return common.recipe(RECIPES, variant, "decoder")


def go_on(config, *parts):
    """A recipe that starts from the shipped parts, on rows they have not seen."""
    config.init_from = {part: f"{SHIPPED}:{part}" for part in parts}
    config.seed = 2  # other noise,
    for stream in config.streams.values():
        stream.seed = 2  # on other rows
    config.reader_processes = READERS
    config.log_every = 200
    config.checkpoint_every = 4000
    config.optim.ema_decay = 0.999
    return config


def decoder():
    """The text-conditioned decoder and its text encoders; the autoencoder stays."""
    config = go_on(shapes_pretrain.decoder(), "mt5", "bert", "dit", "vae")
    config.streams.main.batch = 64
    config.streams.main.tinted = 0.3
    config.objectives.diffusion.draws = 8
    config.optim.learning_rate = 2e-3
    config.total_steps = 14000
    return config


def stage1():
    """Stage 1 with all of the language model's lessons, the vision tower with it."""
    config = go_on(shapes_stage1.get_config("moves"), "vlm")
    config.streams.main.update(edit=0.7, moves=0.3)
    config.streams.caption.update(batch=32, tinted=0.4)
    config.optim.trainable = ((r".*", True),)
    config.optim.learning_rate = 2e-3
    config.total_steps = 7000
    return config


def stage2():
    """Stage 2, alignment, with the language model and the decoder of the other two."""
    config = go_on(shapes_stage2.get_config("reasons"), *common.TINY)
    config.streams.generate.batch = 64
    config.streams.retrieve.batch = 192
    config.optim.learning_rate = 2e-3
    config.total_steps = 6000
    return config


RECIPES = (decoder, stage1, stage2)
VARIANTS = common.variants(RECIPES)
