"""Stage 1 on the shapes world: questions, captions, prompts to rewrite, edits.

    bridge train --config configs/shapes_stage1.py --workdir runs/stage1 \\
        --config.init_from.vlm=runs/vlm:vlm

`:longer` goes on from there with harder lessons: relations, comparisons and edits more
often, and the questions that lead to them; `:edits` goes on again, mostly with edits;
`:rewrites` with more prompts, and a black background for those that name none (of train
scenes the decoder draws those on dark backgrounds best); `:reasons` teaches to say what
an edit changes before its caption, and `:moves` does so with more of the hardest edits,
and asks for colors without a name in words of their own. `:quickstart` is the few
minutes that `bridge quickstart` trains live, `:lora` trains low-rank adapters of the
LLM alone (merged into the weights at the end), `:tiny` and `:lora-tiny` are smoke
tests.
"""

from configs import common

VARIANTS = (
    "",
    "longer",
    "edits",
    "rewrites",
    "reasons",
    "moves",
    "quickstart",
    "lora",
    "tiny",
    "lora-tiny",
)


def get_config(variant=""):
    config = common.ConfigDict(
        dict(
            entry="stage1",
            seed=0,
            model=common.parts(common.TINY, "vlm"),
            init_from=dict(vlm="shapes-tiny/stage0:vlm"),
            streams=dict(
                main=dict(source="shapes_instruct", batch=64, slips=0.2),
                # Some of stage 0 goes on: from instructions alone the model learns
                # again which colors and shapes never go together.
                caption=dict(source="shapes_caption", batch=16, tinted=0.25, slips=0.3),
            ),
            objectives=dict(
                # Of a row's 144 tokens at most 93 were replies, in 4,000 rows.
                sft=dict(weight=1.0, learnt=96),
                sft_caption=dict(name="sft", weight=0.3, stream="caption", learnt=40),
            ),
            optim=dict(
                name="muon",
                learning_rate=4e-3,
                schedule="cosine",
                warmup_steps=50,
                final_fraction=0.02,
                weight_decay=0.01,
                b2=0.99,
                ema_decay=0.997,
                trainable=(("vlm/vision/.*", False), (".*", True)),
            ),
            total_steps=2600,
            log_every=50,
            checkpoint_every=500,
            pictures_every=0,
        )
    )
    if variant in ("longer", "edits", "rewrites", "reasons", "moves"):
        config.streams.main.questions = "lessons"
        config.streams.main.varied = True
        config.streams.main.edit = 0.45
        config.streams.main.rewrite = 0.12
        config.streams.caption.batch = 8
        config.optim.learning_rate = 3e-3
        config.total_steps = 3000
    if variant == "edits":
        config.streams.main.edit = 0.8
        config.streams.main.rewrite = 0.08
        config.optim.learning_rate = 2e-3
        config.total_steps = 1000
    if variant == "rewrites":
        config.streams.main.edit = 0.7
        config.streams.main.rewrite = 0.3
        config.streams.main.background = "black"
        config.optim.learning_rate = 1.5e-3
        config.total_steps = 400
    if variant in ("reasons", "moves"):
        config.streams.main.reasons = True
        config.streams.main.edit = 0.8
        config.streams.main.background = "black"
        config.total_steps = 1200
    if variant == "moves":
        config.seed = 1
        config.streams.main.seed = 1
        config.streams.main.moves = 0.35
        config.streams.caption.seed = 1
        config.streams.caption.apart = True
        config.total_steps = 900
    if variant == "quickstart":
        # Few steps: prompts are rewritten oftener, nothing is misread on purpose, and
        # what stage 0 has learnt of captions is not gone over again.
        config.streams = dict(
            main=dict(source="shapes_instruct", batch=40, rewrite=0.35)
        )
        config.objectives = dict(sft=dict(weight=1.0, learnt=96))
        config.total_steps = 180
        config.log_every = 10
        config.optim.ema_decay = 0.98
    if variant.startswith("lora"):
        config.lora = dict(rank=16, alpha=32.0)
        config.optim.trainable = ((r"lora/.*", True), (r".*", False))
    return common.smoke(config) if variant.endswith("tiny") else config
