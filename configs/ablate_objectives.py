"""Which objective does what? Questions to OmniBridge's recipe, on the shapes world.

    bridge ablate --config configs/ablate_objectives.py --out runs/objectives --dry-run
    bridge ablate --config configs/ablate_objectives.py --out runs/objectives

The base is the stage 2 that `bridge quickstart` trains, cut short and with half the
rows, but with dropout and the aligner's weights from mT5: queries and heads from
nothing, everything else as shipped. So early a model hardly draws from its queries
alone; what tells arms apart is how near the queries come to mT5's states
(`train/semantic`), what the decoder makes of them (`train/diffusion`, on rows that no
step has seen before), and edits, which start from a picture. A term of weight 0 teaches
nothing and is still measured. `:tiny` is a smoke test.
"""

from configs import common

VARIANTS = ("", "tiny")

# The language model learns with the rest, at a pretrained model's usual share of the
# rate, and goes on learning to answer.
JOINT = dict(
    optim=dict(
        trainable=((r"(projector|aligner|retrieval|vlm)/.*", True), (r".*", False)),
        rates=((r"vlm/.*", 0.1), (r".*", 1.0)),
    ),
    streams=dict(answer=dict(source="shapes_instruct", batch=8)),
    objectives=dict(sft=dict(weight=1.0, stream="answer")),
)


def get_config(variant=""):
    config = common.ConfigDict(
        dict(
            base="configs/shapes_stage2.py:quickstart",
            every=dict(
                model=dict(aligner=dict(dropout=0.1)),
                aligner_init="by_role",
                **common.one_stream(
                    generate=dict(batch=12),
                    edit=dict(batch=6),
                    retrieve=dict(batch=16),
                ),
                total_steps=240,
                log_every=40,
                checkpoint_every=120,
            ),
            arms=dict(
                # What the aligner learns from.
                semantic_only=_weightless("diffusion"),
                diffusion_only=_weightless("semantic", "semantic_edit"),
                no_contrastive=_weightless("contrastive"),
                # How learned queries take over from mT5's embeddings; the base has them
                # alone from the first step on.
                continuous=_replacement(start=(0.0, 0.3), finish=120),
                dials=_replacement(
                    dials=((0.0, 0.15), (0.15, 0.75), (0.75, 1.0), (1.0, 1.0)),
                    finish=160,
                ),
                # Decoupled stages, which the base is, or joint ones.
                joint=JOINT,
                # Where the aligner's weights come from.
                fresh=dict(aligner_init="fresh"),
                by_name=dict(aligner_init="by_name"),
                # How many learned queries (36 as published: one a text position).
                queries_18=dict(model=dict(aligner=dict(queries=18))),
            ),
            groups=dict(
                guidance=(
                    "baseline",
                    "semantic_only",
                    "diffusion_only",
                    "no_contrastive",
                ),
                replacement=("baseline", "continuous", "dials"),
                stages=("baseline", "joint"),
                start=("baseline", "fresh", "by_name"),
                queries=("baseline", "queries_18"),
            ),
            seeds=(0, 1, 2),
            measure=_measure(),
            figures=(
                "train/semantic",
                "train/diffusion",
                "generation/queries/objects_right",
                "editing/objects_right",
                "retrieval/t2i_r1",
                "vqa/exact_match",
            ),
            curves=("semantic", "diffusion", "contrastive"),
        )
    )
    return _tiny(config) if variant == "tiny" else config


def _weightless(*objectives):
    return dict(objectives={name: dict(weight=0.0) for name in objectives})


def _replacement(**changes):
    return dict(replacement=dict(begin=0) | changes)


def _measure():
    return dict(
        tasks=("vqa", "generation", "editing", "retrieval"),
        split="heldout",
        options=dict(
            questions=200,
            prompts_per_tag=4,
            images_per_prompt=2,
            conditions=("queries",),
            edits=32,
            scenes=100,
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
