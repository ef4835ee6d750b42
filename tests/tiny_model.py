"""Whole tiny models of random weights, as folders that `load` reads."""

from pathlib import Path

import jax
import numpy as np

from bridge_jax.checkpoint import weights_file
from bridge_jax.core import config as config_lib
from bridge_jax.core import trees
from bridge_jax.data import processor
from bridge_jax.models import build
from bridge_jax.sharding import place
from configs import common

PLAIN = processor.Config()


def write(
    folder: Path,
    *parts: str,
    seed: int = 0,
    table=common.TINY,
    about=PLAIN,
) -> Path:
    """Weights and config of `parts` of the tiny model (all of them by default).

    `table` and `about` are those of another model, and how its inputs are made.

    Drawn by numpy and not by the models' own initialisers, which would have to be
    compiled for minutes.
    """
    chosen = {name: table[name] for name in parts or table}
    bundle = build.build(chosen)
    shapes = place.unbox(bundle.abstract())
    generator = np.random.default_rng(seed)

    def draw(path: str, leaf: jax.ShapeDtypeStruct) -> np.ndarray:
        if path.endswith("scale"):
            return np.ones(leaf.shape, np.float32)
        return 0.02 * generator.standard_normal(leaf.shape, np.float32)

    told = {
        "model": bundle.description(),
        "processor": config_lib.plain(about),
    }
    weights_file.save(folder, trees.map_paths(draw, shapes), told)
    return folder
