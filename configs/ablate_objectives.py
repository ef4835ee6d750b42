"""Which objective does what? Questions to OmniBridge's recipe, on the shapes world.

    bridge ablate --config configs/ablate_objectives.py --out runs/objectives --dry-run
    bridge ablate --config configs/ablate_objectives.py --out runs/objectives

The base is the few minutes of stage 2 that `bridge quickstart` trains, cut to a
quarter: queries and heads from nothing, everything else as shipped. `:tiny` is a smoke
test.
"""

from configs import common

VARIANTS = ("", "tiny")

# Which parts may move when the language model is not kept apart.
TOGETHER = ((r"(projector|aligner|retrieval|vlm)/.*", True), (r".*", False))
# A pretrained model's usual share of the rate.
GENTLY = ((r"vlm/.*", 0.1), (r".*", 1.0))
ANSWERS = dict(source="shapes_instruct", batch=16)


def get_config(variant=""):
    config = common.ConfigDict(
        dict(
            base="configs/shapes_stage2.py:quickstart",
            every=common.ONE_STREAM | dict(total_steps=300, checkpoint_every=150),
            arms=dict(
                # How learned queries take over from mT5's embeddings.
                continuous=_replacement(start=(0.0, 0.3), finish=150),
                dials=_replacement(
                    dials=((0.0, 0.15), (0.15, 0.75), (0.75, 1.0), (1.0, 1.0)),
                    finish=200,
                ),
                wide_dial=_replacement(dials=((0.15, 1.0),), finish=1),
                # What the aligner learns from.
                semantic_only=dict(objectives=dict(diffusion=None)),
                diffusion_only=dict(
                    objectives=dict(semantic=None, semantic_edit=None),
                ),
                no_contrastive=dict(objectives=dict(contrastive=None)),
                # Decoupled stages, which the baseline is, or joint ones.
                joint=dict(
                    optim=dict(trainable=TOGETHER, rates=GENTLY),
                    streams=dict(answer=ANSWERS),
                    objectives=dict(sft=dict(weight=1.0, stream="answer")),
                ),
                unfrozen=dict(optim=dict(trainable=TOGETHER, rates=GENTLY)),
                # Where the aligner's weights come from.
                by_role=dict(aligner_init="by_role"),
                by_name=dict(aligner_init="by_name"),
                # How many learned queries (36 as published: one a text position).
                queries_18=dict(model=dict(aligner=dict(queries=18))),
                queries_9=dict(model=dict(aligner=dict(queries=9))),
            ),
            groups=dict(
                replacement=("baseline", "continuous", "dials", "wide_dial"),
                guidance=(
                    "baseline",
                    "semantic_only",
                    "diffusion_only",
                    "no_contrastive",
                ),
                stages=("baseline", "joint", "unfrozen"),
                start=("baseline", "by_role", "by_name"),
                queries=("baseline", "queries_18", "queries_9"),
            ),
            seeds=(0, 1, 2),
            measure=_measure(),
            figures=(
                "generation/queries/mean",
                "editing/success",
                "retrieval/t2i_r1",
                "vqa/exact_match",
                "consistency/text_image_text",
                "consistency/image_text_image",
            ),
            curves=("semantic", "diffusion", "contrastive"),
        )
    )
    return _tiny(config) if variant == "tiny" else config


def _replacement(**changes):
    return dict(replacement=dict(begin=0) | changes)


def _measure():
    return dict(
        tasks=("vqa", "generation", "editing", "retrieval", "consistency"),
        split="heldout",
        options=dict(
            questions=200,
            prompts_per_tag=8,
            images_per_prompt=2,
            conditions=("queries",),
            edits=48,
            scenes=200,
            chains=48,
            cycles=2,
        ),
    )


def _tiny(config):
    config.base = "configs/shapes_stage2.py:tiny"
    config.every = dict()
    config.arms = dict(
        semantic_only=config.arms.semantic_only,
        continuous=_replacement(start=(0.0, 0.3), finish=2),
    )
    config.groups = dict(both=("baseline", "semantic_only", "continuous"))
    config.seeds = (0, 1)
    config.measure.tasks = ("generation", "retrieval")
    config.measure.limit = 6
    config.measure.options = dict(
        conditions=("queries",), images_per_prompt=1, steps=2, rewrite=False
    )
    config.figures = ("generation/queries/mean", "retrieval/t2i_r1")
    config.shown = 2
    return config
