"""Stage 1 at published size: Qwen2-VL-7B, vision tower frozen.

    bridge train --config configs/stage1_omnibridge_7b.py --workdir runs/stage1 \\
        --config.init_from.vlm=weights/qwen2_vl_7b:vlm --config.mesh.fsdp=-1

Its data is the shapes world at the model's own resolution: endless, synthetic, the
right shapes for measuring speed and fit. `:tiny` swaps every part for its tiny size.
"""

from configs import common

VARIANTS = ("", "tiny")


def get_config(variant=""):
    config = common.ConfigDict(
        dict(
            entry="stage1",
            seed=0,
            model=common.parts(common.PUBLISHED, "vlm"),
            init_from=dict(),
            processor=dict(common.PUBLISHED_PROCESSOR),
            streams=dict(
                main=dict(
                    source="shapes_instruct", batch=128, length=512, num_patches=64
                )
            ),
            objectives=dict(sft=dict(weight=1.0)),
            optim=dict(
                learning_rate=1e-5,
                schedule="cosine",
                warmup_steps=100,
                weight_decay=0.0,
                b2=0.95,
                trainable=((r"vlm/vision/.*", False), (r".*", True)),
            ),
            mesh=dict(data=1, fsdp=-1, tensor=1),
            rules="fsdp_tp",
            total_steps=5000,
            log_every=10,
            checkpoint_every=500,
            pictures_every=0,
        )
    )
    config.model.vlm.update(dtype="bfloat16", remat="full", scan=True)
    return common.tiny(config) if variant == "tiny" else config
