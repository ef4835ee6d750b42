"""The whole config of a run: what the file says and leaves out, and the overrides.

Every field of `train.recipe.Config` and of a stream can be overridden on the command
line, whether the file names it or not. A stream that is given another source keeps of
its fields those that the other has, too:

    --config.streams.main.source=conversations --config.streams.main.data=mine.jsonl
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ml_collections import ConfigDict

from bridge_jax.core import config as config_lib
from bridge_jax.data import pipeline
from bridge_jax.data.cache import wishes
from bridge_jax.sharding import mesh
from bridge_jax.train import recipe

_START = re.compile(r"--config\.init_from\.([\w/]+/[\w/]+)=")
_SOURCE = re.compile(r"--config\.streams\.(\w+)\.source=(.+)")
_STREAM = re.compile(r"--config\.streams\.(\w+)\.(\w+)")
_GIVEN = ("processor", wishes.FIELD)  # by a run, and no config
_OF_PIPELINE = ("source", "batch")  # fields of a stream that its Stream has not


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
        offered = _offer_fields(config.streams, overrides)
    config_lib.override(config, overrides)
    with config.unlocked():
        started = {part: path for part, path in config.init_from.items() if path}
        config.init_from = ConfigDict(started)
        for name, field in offered:
            del config.streams[name][field]
    return config


def _offer_fields(
    streams: ConfigDict, overrides: Sequence[str]
) -> list[tuple[str, str]]:
    """Give each stream all fields that it has, to be overridden.

    Returns:
      (stream, field) of those that nobody names and that shall go again, so that a
      config says no more than was said.
    """
    moved = dict(match.groups() for text in overrides if (match := _SOURCE.match(text)))
    named = {match.groups() for text in overrides if (match := _STREAM.match(text))}
    offered = []
    for name, stream in streams.items():
        if name in moved:
            stream.source = moved[name]
        fields = _defaults_of(pipeline.stream_class(name, stream))
        for field in [field for field in stream if name in moved]:
            if field not in fields and field not in _OF_PIPELINE:
                del stream[field]
        offered += [(name, field) for field in fields if field not in stream]
        _fill(stream, fields)
    return [one for one in offered if one not in named]


def _defaults_of(cls: type) -> dict[str, Any]:
    """Fields of a Stream with their defaults."""
    return {
        field.name: field.default_factory()
        if field.default is dataclasses.MISSING
        else field.default
        for field in dataclasses.fields(cls)
        if field.name not in _GIVEN
    }


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
