"""Stage 1 at published size: Qwen2-VL-7B, vision tower frozen.

    bridge train --config configs/stage1_omnibridge_7b.py --workdir runs/stage1 \\
        --config.init_from.vlm=weights/qwen2_vl_7b:vlm

`:lora` trains low-rank adapters of the LLM alone. `:2b`, `:72b`, `:2b-lora` and
`:72b-lora` are the same with the LLM's sisters. Its data is the shapes world at 512
pixels: endless, synthetic, the right shapes for measuring speed and fit. `:tiny` swaps
every part for its tiny size.
"""

from configs import common

VARIANTS = ("", "lora", "2b", "2b-lora", "72b", "72b-lora", "tiny")


def get_config(variant=""):
    size = variant.split("-")[0]
    size = size if size in common.LLM_WIDTHS else "7b"
    config = common.ConfigDict(
        dict(
            entry="stage1",
            seed=0,
            model=common.published(size, "vlm"),
            init_from=dict(),
            processor=dict(common.PUBLISHED_PROCESSOR),
            streams=dict(
                main=dict(
                    source="shapes_instruct", batch=256, length=1024, **common.IMAGE
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
    if variant.endswith("lora"):
        config.lora = dict(rank=64, alpha=128.0)
        config.optim.learning_rate = 1e-4
        config.optim.trainable = ((r"lora/.*", True), (r".*", False))
        config.model.vlm.param_dtype = "bfloat16"  # no masters where nothing trains
    return common.tiny(config) if variant == "tiny" else config
