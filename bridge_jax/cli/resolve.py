"""The whole config of a run: what the file says and leaves out, and the overrides.

Every field of `train.recipe.Config` can be overridden on the command line, whether the
file names it or not.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ml_collections import ConfigDict

from bridge_jax.core import config as config_lib
from bridge_jax.sharding import mesh
from bridge_jax.train import recipe

_START = re.compile(r"--config\.init_from\.([\w/]+/[\w/]+)=")


def resolve(spec: str, overrides: Sequence[str]) -> ConfigDict:
    """The config of "path.py[:variant]" with defaults filled in, then overridden.

    `init_from` takes any part of the model, or a path below one; what is overridden
    with nothing starts fresh.

    Raises:
      BridgeError: see `core.config.load`.
    """
    config = config_lib.load(spec)
    with config.unlocked():
        _fill(config, _defaults())
        starts = [*config.model, *_below_parts(config.model, overrides)]
        _fill(config.init_from, dict.fromkeys(starts, ""))
        _fill(config.mesh, mesh.ONES | {mesh.DCN: mesh.ONES})
    config_lib.override(config, overrides)
    with config.unlocked():
        started = {part: path for part, path in config.init_from.items() if path}
        config.init_from = ConfigDict(started)
    return config


def _below_parts(model: Mapping[str, Any], overrides: Sequence[str]) -> list[str]:
    """Paths that the overrides of `init_from` name below a part of the model."""
    named = [match[1] for text in overrides if (match := _START.match(text))]
    return [path for path in named if path.split("/")[0] in model]


def _defaults() -> dict[str, Any]:
    """Defaults of `recipe.Config`, dataclasses as dicts."""
    empty = recipe.Config(model={}, streams={}, objectives={})
    required = ("model", "streams", "objectives")
    every = dataclasses.asdict(empty)
    return {name: value for name, value in every.items() if name not in required}


def _fill(config: ConfigDict, defaults: Mapping[str, Any]) -> None:
    """Add what `config` does not say, groups of keys one by one."""
    for name, value in defaults.items():
        if name not in config:
            config[name] = ConfigDict(value) if isinstance(value, Mapping) else value
        elif isinstance(config[name], ConfigDict) and isinstance(value, Mapping):
            _fill(config[name], value)
