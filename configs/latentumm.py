"""LatentUMM alone: one latent for a text and its picture, out of it and in again.

Two stages, as published: dual latent alignment, then its dynamics, from where the
first ended.

    bridge pretrain --config configs/latentumm.py --workdir runs/umm1
    bridge pretrain --config configs/latentumm.py:stage2 --workdir runs/umm2 \\
        --config.init_from.latentumm=runs/umm1:latentumm

It reads embeddings that a frozen model made; by default those that stand for one on the
shapes world. One's own are a file of pairs (see `data/streams/paired_embeddings.py`):

    bridge pretrain --config configs/latentumm.py:pairs --workdir runs/mine \\
        --config.streams.main.path=pairs.npz \\
        --config.model.latentumm.text=1024 --config.model.latentumm.image=1024
"""

from configs import common

VARIANTS = ("", "stage2", "pairs", "tiny")


def get_config(variant=""):
    config = common.ConfigDict(
        dict(
            entry="pretrain",
            seed=0,
            model=dict(latentumm=dict(family="latentumm", size="tiny")),
            init_from=dict(),
            streams=dict(main=dict(source="shapes_embeddings", batch=256)),
            objectives=dict(
                modal=dict(name="latent_modal", weight=1.0),
                task=dict(name="latent_task", weight=1.0),
            ),
            optim=dict(
                name="adamw",
                learning_rate=1e-3,
                schedule="cosine",
                warmup_steps=50,
                weight_decay=0.01,
                # What `start="fused"` and unequal widths would take; to train it:
                # --config.optim.trainable='((".*",True),)'
                trainable=(
                    (r"latentumm/(aligner/fuse|reencoder).*", False),
                    (r".*", True),
                ),
            ),
            total_steps=1000,
            log_every=50,
            checkpoint_every=500,
            pictures_every=0,
        )
    )
    if variant == "stage2":
        config.objectives.preference = dict(
            name="latent_preference", weight=0.1, form="spread"
        )
        config.optim.learning_rate = 3e-4
        config.total_steps = 500
    if variant == "pairs":
        return _pairs(config)
    return common.smoke(config) if variant == "tiny" else config


def _pairs(config):
    """Of a file, at the widths of common embedding models."""
    config.model.latentumm = dict(
        family="latentumm",
        text=1024,
        image=1024,
        latent=512,
        hidden=1024,
        layers=2,
        heads=8,
    )
    config.streams.main = dict(
        source="paired_embeddings",
        batch=256,
        path="pairs.npz",
        text_key="text",
        image_key="image",
        normalise=False,
    )
    return config
