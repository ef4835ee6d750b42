"""Stage 2 at published size, adaption: projector and learned queries alone.

    bridge train --config configs/stage2_adaption_7b.py --workdir runs/adaption \\
        --config.init_from.vlm=runs/stage1:vlm \\
        --config.init_from.mt5=weights/mt5_xl:mt5

`:2b` and `:72b` have the LLM's sisters, `:tiny` every part at its tiny size.
"""

from configs import common, stage2_omnibridge_7b

VARIANTS = stage2_omnibridge_7b.VARIANTS


def get_config(variant=""):
    config = stage2_omnibridge_7b.alignment(
        variant if variant in common.LLM_WIDTHS else "7b"
    )
    config.model = common.ConfigDict(
        {name: config.model[name] for name in ("vlm", "projector", "aligner", "mt5")}
    )
    config.streams = dict(generate=dict(config.streams.generate))
    config.objectives = dict(semantic=dict(weight=1.0, stream="generate"))
    config.replacement = dict(start=(1.0, 1.0), end=(1.0, 1.0), begin=0, finish=1)
    config.optim.trainable = (
        (r"projector/.*|aligner/query_tokens", True),
        (r".*", False),
    )
    config.total_steps = 2000
    return common.tiny(config) if variant == "tiny" else config
