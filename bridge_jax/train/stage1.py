"""Stage 1, behavioural alignment: the LLM learns to answer, rewrite and caption edits.

Next-token cross-entropy on responses. The vision tower, the projector and the aligner
stand still; the LLM and its token embeddings train.
"""

from pathlib import Path
from typing import Any, Literal

from bridge_jax.core.errors import BridgeError
from bridge_jax.train import hooks as hooks_lib
from bridge_jax.train import recipe as recipe_lib
from bridge_jax.train.state import TrainState


def run(
    config: Any,
    workdir: Path,
    resume: bool | Literal["auto"] = False,
    hooks: tuple[hooks_lib.Hook, ...] = (),
) -> TrainState:
    """Run stage 1 in `workdir`; weights end in `workdir/weights`.

    Raises:
      BridgeError: the config has no vision-language model to align.
    """
    recipe = recipe_lib.make(config)
    if "vlm" not in recipe.bundle:
        raise BridgeError("stage 1 trains model.vlm, which this config does not have")
    return recipe_lib.run(recipe, config, workdir, resume, hooks)
