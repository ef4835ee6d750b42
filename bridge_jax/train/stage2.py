"""Stage 2, latent alignment: the aligner learns to stand in for the text encoder.

The LLM is frozen. Adaption trains the projector and the learned queries; alignment
trains the whole aligner and the retrieval heads as well. Which of the two a run is, is
`optim.trainable`; a run of both is two runs, the second starting from the first.
"""

from pathlib import Path
from typing import Any, Literal

from bridge_jax.core.errors import BridgeError
from bridge_jax.train import hooks as hooks_lib
from bridge_jax.train import recipe as recipe_lib
from bridge_jax.train.state import TrainState

NEEDED = ("vlm", "projector", "aligner")  # objectives may need more


def run(
    config: Any,
    workdir: Path,
    resume: bool | Literal["auto"] = False,
    hooks: tuple[hooks_lib.Hook, ...] = (),
) -> TrainState:
    """Run stage 2 in `workdir`; weights end in `workdir/weights`.

    Raises:
      BridgeError: a part is missing.
    """
    recipe = recipe_lib.make(config)
    missing = [name for name in NEEDED if name not in recipe.bundle]
    if missing:
        raise BridgeError(f"stage 2 needs model parts {missing}, not in this config")
    return recipe_lib.run(recipe, config, workdir, resume, hooks)
