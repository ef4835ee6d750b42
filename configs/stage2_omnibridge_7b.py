"""Stage 2 at published size, alignment: all but projector, aligner and heads frozen.

    bridge train --config configs/stage2_omnibridge_7b.py --workdir runs/stage2 \\
        --config.init_from.vlm=runs/stage1:vlm \\
        --config.init_from.projector=runs/adaption:projector \\
        --config.init_from.aligner=runs/adaption:aligner

Adaption comes before it (`stage2_adaption_7b.py`), a fine-tuning for retrieval alone
may follow (`stage2_retrieval_7b.py`). `:2b` and `:72b` have the LLM's sisters, `:tiny`
every part at its tiny size. Its data is the shapes world at 512 pixels: endless,
synthetic, the right shapes for measuring speed and fit.
"""

from configs import common

VARIANTS = ("", "2b", "72b", "tiny")
FROZEN = ("vlm", "mt5", "bert", "dit", "vae")


def get_config(variant=""):
    config = alignment(variant if variant in common.LLM_WIDTHS else "7b")
    return common.tiny(config) if variant == "tiny" else config


def alignment(size):
    """The recipe that its two sisters start from."""
    config = common.ConfigDict(
        dict(
            entry="stage2",
            seed=0,
            model=common.published(size, *common.PUBLISHED),
            init_from=dict(),
            aligner_init="by_role",
            processor=dict(
                common.PUBLISHED_PROCESSOR, memory_length=common.IMAGE_TOKENS
            ),
            replacement=dict(start=(0.0, 0.15), end=(1.0, 1.0), begin=0, finish=10000),
            streams=dict(
                generate=dict(
                    source="shapes_generate", batch=256, length=512, image_size=512
                ),
                edit=dict(source="shapes_edit", batch=256, length=384, **common.IMAGE),
                retrieve=dict(
                    source="shapes_retrieve",
                    batch=512,
                    image_length=384,
                    text_length=128,
                    **common.IMAGE,
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
    for part in FROZEN:  # no masters where nothing trains
        config.model[part].param_dtype = "bfloat16"
    return config
