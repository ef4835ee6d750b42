"""Instruction tuning with LangBridge: adapter and decoder, the tower alone frozen.

    bridge train --config configs/langbridge_instruct.py --workdir runs/tuned \\
        --config.init_from.vlm=runs/adapter:vlm
    bridge langbridge transfer --adapter runs/adapter --to weights/llama3 -o moved
    bridge train --config configs/langbridge_instruct.py:llama3_8b \\
        --workdir runs/moved --config.init_from.vlm=moved:vlm

As published (arXiv 2503.19404, after LLaVA-1.5): 665,000 conversations in batches of
128 at 2e-5. Variants and data are those of `langbridge_pretrain.py`; `:llava` reads
conversations as LLaVA publishes them:

    bridge train --config configs/langbridge_instruct.py:llava --workdir runs/tuned \\
        --config.streams.main.data=llava_v1_5_mix665k.json \\
        --config.streams.main.images=images --config.init_from.vlm=runs/adapter:vlm
"""

from configs import langbridge_pretrain as pretrain

VARIANTS = (*pretrain.VARIANTS, "llava")
CONVERSATIONS, BATCH = 665_000, 128


def get_config(variant=""):
    config = pretrain.get_config("" if variant == "tiny" else variant)
    steps = CONVERSATIONS // BATCH
    config.entry = "stage1"
    config.objectives.sft.learnt = 1024 - 576  # all that a picture leaves room for
    config.streams = dict(
        main=dict(
            source="shapes_instruct",
            batch=BATCH,
            length=1024,
            rewrite=0.0,
            edit=0.0,
            **pretrain.PICTURE,
        )
    )
    if variant == "llava":
        config.objectives.sft.learnt = 0  # some rows have no picture
        config.streams.main = dict(
            source="conversations",
            batch=BATCH,
            length=2048,
            num_patches=pretrain.PICTURE["num_patches"],
            data="llava_v1_5_mix665k.json",
            images="images",
        )
    config.optim.warmup_steps = steps * 3 // 100
    config.optim.trainable = ((r"vlm/vision/.*", False), (r".*", True))
    config.total_steps = steps
    return pretrain.tiny(config) if variant == "tiny" else config
