"""Sample pictures of a run: the same captions drawn at intervals, side by side."""

from pathlib import Path
from typing import Any

import numpy as np

from bridge_jax.cli import outputs
from bridge_jax.core.errors import BridgeError
from bridge_jax.core.types import Params
from bridge_jax.data import shapes_world
from bridge_jax.inference import engine as engine_lib
from bridge_jax.inference import model as model_lib
from bridge_jax.train import hooks
from bridge_jax.train import recipe as recipe_lib

ROWS, EACH = 4, 2  # captions, and pictures of each


def hook(config: Any, folder: Path, **choices: Any) -> hooks.Pictures:
    """Draws captions of the test split every `config.pictures_every` steps.

    The first column of a picture is the true scene. What guides the decoder is the
    aligner where the model has one, otherwise mT5; `choices` are more of
    `Model.generate`'s.

    Raises:
      BridgeError: the config's model cannot draw.
    """
    recipe = recipe_lib.make(config)
    missing = [name for name in ("bert", "dit", "vae") if name not in recipe.bundle]
    if missing:
        raise BridgeError(
            f"pictures_every={config.pictures_every}: this config's model cannot draw,"
            f" it has no {', '.join(missing)}; set --config.pictures_every=0"
        )
    condition = "queries" if "aligner" in recipe.bundle else "text"
    engine = engine_lib.Engine(recipe.bundle, recipe.processor, recipe.layout)
    source = shapes_world.Source("test")
    items = [source[i] for i in range(ROWS)]

    def draw(params: Params, step: int) -> dict[str, np.ndarray]:
        # The state's arrays are donated to the next step: keep no model of them.
        model = model_lib.Model(engine, engine.place(params))
        drawings = model.generate(
            [item.caption() for item in items],
            images_per_prompt=EACH,
            condition=condition,
            rewrite=False,
            **choices,
        )
        rows = [
            np.stack([item.image, *drawing.images])
            for item, drawing in zip(items, drawings, strict=True)
        ]
        return {condition: outputs.grid(rows)}

    return hooks.Pictures(config.pictures_every, draw, folder)
