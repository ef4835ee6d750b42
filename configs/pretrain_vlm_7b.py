"""Next-token pretraining of Qwen2-VL-7B on documents of words and pictures.

    bridge pretrain --config configs/pretrain_vlm_7b.py --workdir runs/vlm

Everything trains, the vision tower too, as in the second of Qwen2-VL's three phases
(arXiv 2409.12191, section 2.2; its batch and rates are not published). `:2b` and `:72b`
are its sisters, `:tiny` a smoke test. The documents are made from the shapes world at
512 pixels: endless, synthetic, the right shapes for measuring speed and fit.
"""

from configs import common

VARIANTS = ("", "2b", "72b", "tiny")


def get_config(variant=""):
    size = variant if variant in common.LLM_WIDTHS else "7b"
    config = common.ConfigDict(
        dict(
            entry="pretrain",
            seed=0,
            model=common.published(size, "vlm"),
            init_from=dict(),
            processor=dict(common.PUBLISHED_PROCESSOR),
            streams=dict(
                main=dict(
                    source="shapes_interleaved",
                    batch=256,
                    length=2048,
                    image_size=512,
                    num_patches=4 * 1296,
                    pictures=2,
                )
            ),
            objectives=dict(sft=dict(weight=1.0)),
            optim=dict(
                learning_rate=5e-5,
                schedule="cosine",
                warmup_steps=1000,
                weight_decay=0.1,
                b2=0.95,
            ),
            mesh=dict(data=1, fsdp=-1, tensor=1),
            rules="fsdp_tp",
            total_steps=100000,
            log_every=10,
            checkpoint_every=1000,
            pictures_every=0,
        )
    )
    return common.tiny(config) if variant == "tiny" else config
