"""Which of LatentUMM's terms helps? Consistency with and without each, by seeds.

    bridge ablate --config configs/ablate_latentumm.py --out runs/latentumm
    bridge ablate --config configs/ablate_latentumm.py:alone --out runs/latentumm_alone

The default goes on training the shipped model's stage 2 for a while, without any term
(the baseline), with each alone, and with all as released; `:alone` is the stand-alone
model between two frozen embeddings; `:tiny` is a smoke test.
"""

from configs import common

VARIANTS = ("", "alone", "tiny")

SHIPPED = ("vlm", "projector", "aligner", "retrieval", "mt5", "bert", "dit", "vae")


def get_config(variant=""):
    if variant == "alone":
        return _alone()
    config = common.ConfigDict(
        dict(
            base="configs/shapes_stage2.py:quickstart",
            every=dict(
                model=dict(
                    aligner=dict(dropout=0.1),
                    maps=dict(family="latent_maps", size="tiny"),
                ),
                init_from={part: f"shapes-tiny:{part}" for part in SHIPPED},
                **common.one_stream(
                    edit=dict(batch=8),
                    retrieve=dict(batch=24, frozen=128),
                    generate=dict(batch=16, sides=True),
                ),
                optim=dict(
                    learning_rate=1e-3,
                    trainable=(
                        (r"(projector|aligner|retrieval|maps)/.*", True),
                        (r".*", False),
                    ),
                ),
                total_steps=150,
                checkpoint_every=150,
            ),
            arms=dict(
                modal=_terms(modal=0.1),
                task=_terms(task=0.1),
                target=_terms(target=0.1),
                spread=_terms(spread=0.1),
                towards_best=_terms(towards_best=0.1),
                released=_terms(modal=0.01, task=0.01, target=0.01, spread=0.001),
                real_path=_terms(path=0.1),
            ),
            groups=dict(
                terms=("baseline", "modal", "task", "target", "released"),
                preference=("baseline", "spread", "towards_best", "real_path"),
            ),
            seeds=(0, 1, 2),
            measure=dict(
                tasks=("generation", "retrieval", "consistency"),
                split="heldout",
                options=dict(
                    prompts_per_tag=8,
                    images_per_prompt=2,
                    conditions=("queries",),
                    scenes=200,
                    chains=96,
                    cycles=3,
                ),
            ),
            figures=(
                "consistency/text_image_text",
                "consistency/image_text_image",
                "consistency/text_image_text/drift_3",
                "consistency/image_text_image/drift_3",
                "generation/queries/mean",
                "retrieval/t2i_r1",
            ),
            curves=("semantic", "contrastive"),
        )
    )
    return _tiny(config) if variant == "tiny" else config


def _terms(**weights):
    """Terms on the states that retrieval's queries find, by weight."""
    inside = dict(space="aligner", stream="retrieve")
    files = dict(
        modal=dict(name="latent_modal", **inside),
        task=dict(name="latent_task", **inside),
        target=dict(name="latent_target", **inside),
        spread=dict(name="latent_preference", form="spread", rollouts=2, **inside),
        towards_best=dict(name="latent_preference", rollouts=2, **inside),
        path=dict(name="path_preference", stream="generate"),
    )
    return dict(
        objectives={
            f"umm_{name}": files[name] | dict(weight=weight)
            for name, weight in weights.items()
        }
    )


def _alone():
    """Terms of stage 1 and of stage 2 in one run, judged by the training log."""
    towards_best = dict(name="latent_preference", weight=0.1)
    return common.ConfigDict(
        dict(
            base="configs/latentumm.py",
            every=dict(
                streams=dict(main=dict(batch=64)), total_steps=600, checkpoint_every=600
            ),
            arms=dict(
                no_modal=dict(objectives=dict(modal=dict(weight=0.0))),
                no_task=dict(objectives=dict(task=dict(weight=0.0))),
                target=_add(target=dict(name="latent_target", weight=1.0)),
                spread=_add(preference=towards_best | dict(form="spread")),
                towards_best=_add(preference=towards_best),
                target_and_best=_add(
                    target=dict(name="latent_target", weight=1.0),
                    preference=towards_best,
                ),
            ),
            groups=dict(
                terms=("baseline", "no_modal", "no_task", "target"),
                preference=("baseline", "spread", "towards_best", "target_and_best"),
            ),
            measure=dict(tasks=()),
            figures=(
                "train/modal",
                "train/modal/cosine",
                "train/modal/found",
                "train/task",
            ),
            curves=("modal", "task", "modal/found"),
        )
    )


def _add(**objectives):
    return dict(objectives=objectives)


def _tiny(config):
    config.base = "configs/shapes_stage2.py:tiny"
    del config.every.streams["draw"]  # that base has but one stream
    config.every.total_steps = 3
    config.every.checkpoint_every = 3
    config.every.streams.generate.batch = 4
    config.every.streams.retrieve.batch = 4
    config.arms = dict(
        released=config.arms.released,
        real_path=config.arms.real_path,
    )
    config.groups = dict(all=("baseline", "released", "real_path"))
    config.seeds = (0,)
    config.measure.tasks = ("retrieval",)
    config.measure.limit = 6
    config.figures = ("retrieval/t2i_r1", "train/umm_modal")
    return config
