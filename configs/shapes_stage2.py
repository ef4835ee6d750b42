"""Stage 2 on the shapes world: the aligner learns to stand in for mT5.

Two phases, as published: `:adaption` trains the projector and the learned queries, then
the default, alignment, trains the whole aligner and the retrieval heads.

    bridge train --config configs/shapes_stage2.py:adaption --workdir runs/adaption
    bridge train --config configs/shapes_stage2.py --workdir runs/stage2 \\
        --config.init_from.projector=runs/adaption:projector \\
        --config.init_from.aligner=runs/adaption:aligner

Both take the captions that the LLM itself writes with --config.cache.folder=DIR, after
`bridge cache build --config configs/shapes_stage2.py --out DIR`.

`:longer` goes on from there, learned queries only; `:last` does so once more after the
LLM has changed, and edits are drawn as often as prompts; `:rewrites` and `:reasons`
follow the LLM after stage 1's variants of those names. `:quickstart` is the few
minutes that `bridge quickstart` trains live (both phases in one, aligner fresh),
`:tiny` a smoke test.
"""

from configs import common

VARIANTS = (
    "",
    "longer",
    "last",
    "rewrites",
    "reasons",
    "adaption",
    "quickstart",
    "tiny",
)


def get_config(variant=""):
    config = common.ConfigDict(
        dict(
            entry="stage2",
            seed=0,
            model=common.parts(common.TINY, *common.TINY),
            init_from=dict(
                vlm="shapes-tiny:vlm",
                mt5="shapes-tiny:mt5",
                bert="shapes-tiny:bert",
                dit="shapes-tiny:dit",
                vae="shapes-tiny:vae",
            ),
            aligner_init="by_role",
            replacement=dict(start=(0.0, 0.3), end=(1.0, 1.0), begin=0, finish=250),
            streams=dict(
                generate=dict(source="shapes_generate", batch=48),
                edit=dict(source="shapes_edit", batch=24),
                retrieve=dict(source="shapes_retrieve", batch=96),
            ),
            objectives=dict(
                semantic=dict(weight=1.0, stream="generate"),
                semantic_edit=dict(name="semantic", weight=0.5, stream="edit"),
                diffusion=dict(weight=0.5, stream="generate", condition="queries"),
                contrastive=dict(weight=0.2, stream="retrieve"),
            ),
            optim=dict(
                name="muon",
                learning_rate=3e-3,
                schedule="cosine",
                warmup_steps=50,
                final_fraction=0.02,
                weight_decay=0.01,
                b2=0.99,
                ema_decay=0.997,
                trainable=(
                    (r"(projector|aligner|retrieval)/.*", True),
                    (r".*", False),
                ),
            ),
            total_steps=740,
            log_every=50,
            checkpoint_every=250,
            pictures_every=0,
        )
    )
    if variant == "longer":
        return _longer(config)
    if variant == "last":
        return _last(_longer(config))
    if variant == "rewrites":
        return _rewrites(_last(_longer(config)))
    if variant == "reasons":
        return _reasons(_last(_longer(config)))
    if variant == "adaption":
        return _adaption(config)
    if variant == "quickstart":
        return _quickstart(config)
    return common.smoke(config) if variant == "tiny" else config


def _longer(config):
    """Queries from the first step on; retrieval is learned by then."""
    config.replacement = dict(start=(1.0, 1.0), end=(1.0, 1.0), begin=0, finish=1)
    config.streams.generate.varied = True
    config.streams.retrieve.batch = 32
    config.objectives.semantic_edit.weight = 1.0
    config.total_steps = 3600
    return config


def _last(config):
    config.streams.generate.batch = 40
    config.streams.edit.batch = 40
    config.objectives.diffusion_edit = dict(
        name="diffusion", weight=0.5, stream="edit", condition="queries"
    )
    config.total_steps = 1200
    return config


def _rewrites(config):
    config.streams.generate.background = "black"
    config.streams.retrieve.batch = 64
    config.optim.learning_rate = 2e-3
    config.total_steps = 350
    return config


def _reasons(config):
    """Edits oftener than prompts, and retrieval's first batch again."""
    config.streams.generate.batch = 32
    config.streams.generate.background = "black"
    config.streams.edit.batch = 64
    config.streams.retrieve.batch = 96
    config.total_steps = 2400
    return config


def _adaption(config):
    """Projector and learned queries alone, against mT5's states."""
    config.optim.trainable = (
        (r"projector/.*|aligner/query_tokens", True),
        (r".*", False),
    )
    config.objectives = dict(semantic=dict(weight=1.0, stream="generate"))
    config.streams = dict(generate=dict(source="shapes_generate", batch=48))
    config.replacement = dict(start=(1.0, 1.0), end=(1.0, 1.0), begin=0, finish=1)
    config.total_steps = 100
    return config


def _quickstart(config):
    """Aligner from nothing, learned queries from the first step on."""
    config.aligner_init = "fresh"
    # No row comes twice in so few steps: dropout only slowed what they teach.
    config.model.aligner.dropout = 0.0
    config.replacement = dict(start=(1.0, 1.0), end=(1.0, 1.0), begin=0, finish=1)
    config.streams.generate.batch = 24
    config.streams.edit.batch = 4
    config.streams.retrieve.batch = 8
    # A row costs the decoder the most time, and mT5's states teach more.
    config.streams.draw = dict(source="shapes_generate", batch=4, seed=1)
    config.objectives.diffusion.stream = "draw"
    config.total_steps = 650
    config.log_every = 10
    config.optim.warmup_steps = 20
    config.optim.ema_decay = 0.98
    return config
