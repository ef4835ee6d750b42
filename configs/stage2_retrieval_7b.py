"""Stage 2 at published size, retrieval alone: the contrastive loss on a large batch.

    bridge train --config configs/stage2_retrieval_7b.py --workdir runs/retrieval \\
        --config.init_from.vlm=runs/stage1:vlm \\
        --config.init_from.projector=runs/stage2:projector \\
        --config.init_from.aligner=runs/stage2:aligner \\
        --config.init_from.retrieval=runs/stage2:retrieval

`:2b` and `:72b` have the LLM's sisters, `:tiny` every part at its tiny size.
"""

from configs import common, stage2_omnibridge_7b

VARIANTS = stage2_omnibridge_7b.VARIANTS
PARTS = ("vlm", "projector", "aligner", "retrieval")


def get_config(variant=""):
    config = stage2_omnibridge_7b.alignment(
        variant if variant in common.LLM_WIDTHS else "7b"
    )
    config.model = common.ConfigDict({name: config.model[name] for name in PARTS})
    config.aligner_init = "fresh"  # there is no mT5 to take over from
    retrieve = dict(config.streams.retrieve)
    config.streams = dict(retrieve=retrieve | dict(batch=1024))
    config.objectives = dict(contrastive=dict(weight=1.0, stream="retrieve"))
    config.optim.learning_rate = 2e-5
    config.total_steps = 5000
    return common.tiny(config) if variant == "tiny" else config
