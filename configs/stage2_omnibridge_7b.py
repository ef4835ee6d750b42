"""Stage 2 at published size: LLM, text encoders, decoder and autoencoder frozen.

    bridge train --config configs/stage2_omnibridge_7b.py --workdir runs/stage2 \\
        --config.init_from.vlm=runs/stage1:vlm --config.mesh.fsdp=-1

Its data is the shapes world at the model's own resolution: endless, synthetic, the
right shapes for measuring speed and fit. `:tiny` swaps every part for its tiny size.
"""

from configs import common

VARIANTS = ("", "tiny")


def get_config(variant=""):
    config = common.ConfigDict(
        dict(
            entry="stage2",
            seed=0,
            model=common.parts(common.PUBLISHED, *common.PUBLISHED),
            init_from=dict(),
            aligner_init="by_role",
            processor=dict(common.PUBLISHED_PROCESSOR),
            replacement=dict(start=(0.0, 0.15), end=(1.0, 1.0), begin=0, finish=10000),
            streams=dict(
                generate=dict(source="shapes_generate", batch=256, length=512),
                edit=dict(source="shapes_edit", batch=64, length=64),
                retrieve=dict(
                    source="shapes_retrieve",
                    batch=512,
                    image_length=64,
                    text_length=128,
                ),
            ),
            objectives=dict(
                semantic=dict(weight=1.0, stream="generate"),
                semantic_edit=dict(name="semantic", weight=1.0, stream="edit"),
                diffusion=dict(weight=1.0, stream="generate", condition="queries"),
                contrastive=dict(weight=1.0, stream="retrieve"),
            ),
            optim=dict(
                learning_rate=1e-4,
                schedule="cosine",
                warmup_steps=500,
                weight_decay=0.01,
                trainable=((r"(projector|aligner|retrieval)/.*", True), (".*", False)),
            ),
            mesh=dict(data=1, fsdp=-1, tensor=1),
            rules="fsdp_tp",
            total_steps=20000,
            log_every=10,
            checkpoint_every=500,
            pictures_every=0,
        )
    )
    for part in ("vlm", "mt5", "bert", "aligner", "dit"):
        config.model[part].update(dtype="bfloat16", remat="full", scan=True)
    return common.tiny(config) if variant == "tiny" else config
