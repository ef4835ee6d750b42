"""The shipped shapes-tiny goes on learning on a CPU: some hours of two cores.

`bash launch/longer_cpu.sh` runs these, the decoder twice:

    bridge train --config configs/shapes_longer_cpu.py:autoencoder --workdir runs/vae
    bridge train --config configs/shapes_longer_cpu.py:decoder --workdir runs/dit \\
        --config.init_from.vae=runs/vae:vae
    bridge train --config configs/shapes_longer_cpu.py:stage1 --workdir runs/stage1
    bridge train --config configs/shapes_longer_cpu.py:stage2 --workdir runs/stage2 \\
        --config.init_from.vlm=runs/stage1:vlm \\
        --config.init_from.dit=runs/dit:dit --config.init_from.vae=runs/vae:vae

Fewer steps and smaller batches than a GPU's (`shapes_longer.py`) go to what is still
wrong: an autoencoder that draws what training never shows, questions about several
objects at once, and pictures that differ in one thing.

Each variant accepts `-tiny` after its name.
"""

from configs import common, shapes_longer, shapes_pretrain


def get_config(variant="autoencoder"):
    return common.recipe(RECIPES, variant, "autoencoder")


def _on_cpu(config):
    config.matmul_precision = "BF16_BF16_F32"  # some CPUs have units for it
    config.log_every = 50
    config.checkpoint_every = 200
    config.reader_processes = 0
    config.optim.warmup_steps = 50
    config.optim.ema_decay = 0.998
    return config


def autoencoder():
    """The autoencoder, both ways, shown nothing in a color that has a name.

    Shown those, it learns which shapes they never have, and draws no green star.
    """
    config = shapes_longer.go_on(shapes_pretrain.autoencoder(), "vae")
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
    """The decoder learns the latents of `autoencoder`.

    Its text encoders stay, and so may what has learnt to stand in for them. Tints are
    far from all named colors: those that are almost purple, and not called so, teach
    that purple squares are not purple.
    """
    config = _on_cpu(shapes_longer.decoder())
    config.init_from.vae = "runs/vae:vae"
    config.streams.main.update(batch=32, tinted=0.4, unlike=64.0)
    config.objectives.diffusion.draws = 4
    config.optim.trainable = ((r"dit/.*", True), (r".*", False))
    config.total_steps = 3600
    return config


def stage1():
    """The language model alone: it sees what is there, and miscounts and misplaces.

    Rows hold some six questions, most of them about several objects: in rows of the
    usual length there are two, and a model learns again to describe. Where it is to
    think, it says where the things are before it counts or compares them.
    """
    config = _on_cpu(shapes_longer.stage1())
    config.streams.main.update(
        batch=28,
        length=240,
        edit=0.3,
        rewrite=0.08,
        questions="reasoning",
        thoughts=0.6,
    )
    config.objectives.sft.learnt = 144  # of a row's tokens, 132 in 4,000 rows
    config.streams.caption.batch = 8
    config.optim.trainable = ((r"vlm/vision/.*", False), (r".*", True))
    config.total_steps = 2900
    return config


def stage2():
    """Alignment after `stage1`; what retrieval confuses, it finds in one batch.

    Rows that are drawn take the most time, so they are few. No row comes twice, so that
    dropout would only blur what they teach.
    """
    config = _on_cpu(shapes_longer.stage2())
    config.init_from.vlm = "runs/stage1:vlm"
    config.streams.generate.batch = 48
    config.streams.edit.batch = 48
    config.streams.retrieve.update(batch=64, near=0.5)
    config.streams.draw = dict(config.streams.generate, batch=8, seed=3)
    config.objectives.diffusion.stream = "draw"
    del config.objectives.diffusion_edit
    config.model.aligner.dropout = 0.0
    config.optim.ema_decay = 0.99
    config.total_steps = 2000
    return config


RECIPES = (autoencoder, decoder, stage1, stage2)
VARIANTS = common.variants(RECIPES)
