"""Pretraining of the parts that OmniBridge takes as given.

Autoencoder, text-conditioned decoder with its text encoders, vision-language model:
`configs/*_pretrain.py` say which. Everything in `model` that `optim.trainable` names
trains, by the objectives listed.
"""

from pathlib import Path
from typing import Any, Literal

from bridge_jax.train import hooks as hooks_lib
from bridge_jax.train import recipe as recipe_lib
from bridge_jax.train.state import TrainState


def run(
    config: Any,
    workdir: Path,
    resume: bool | Literal["auto"] = False,
    hooks: tuple[hooks_lib.Hook, ...] = (),
) -> TrainState:
    """Pretrain in `workdir`; weights end in `workdir/weights`."""
    recipe = recipe_lib.make(config)
    return recipe_lib.run(recipe, config, workdir, resume, hooks)
