"""The whole config of a run: what the file says and leaves out, and the overrides.

Every field of `train.recipe.Config`, of a stream, an objective or a part of the model
can be overridden on the command line, whether the file names it or not. A stream that
is given another source keeps of its fields those that the other has, too:

    --config.streams.main.source=conversations --config.streams.main.data=mine.jsonl
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ml_collections import ConfigDict

from bridge_jax.core import config as config_lib
from bridge_jax.data import pipeline, vocabulary
from bridge_jax.data.cache import wishes
from bridge_jax.models import build
from bridge_jax.objectives import base
from bridge_jax.sharding import mesh
from bridge_jax.train import recipe

_START = re.compile(r"--config\.init_from\.([\w/]+/[\w/]+)=")
_SOURCE = re.compile(r"--config\.streams\.(\w+)\.source=(.+)")
_FIELD = re.compile(r"--config\.((\w+)\.(\w+)\.[\w.]+)=")
_GIVEN = ("processor", wishes.FIELD)  # by a run, and no config
_OF_PIPELINE = ("source", "batch")  # fields of a stream that its Stream has not


def resolve(spec: str, overrides: Sequence[str]) -> ConfigDict:
    """The config of "path.py[:variant][,key=value...]", filled in, then overridden.

    `init_from` takes any part of the model, or a path below one; what is overridden
    with nothing starts fresh.

    Raises:
      BridgeError: see `core.config.load`.
    """
    head, inline = config_lib.split(spec)
    config = config_lib.load(head)
    overrides = [*(_as_override(text) for text in inline), *overrides]
    with config.unlocked():
        _fill(config, _defaults())
        starts = [*config.model, *_below_parts(config.model, overrides)]
        _fill(config.init_from, dict.fromkeys(starts, ""))
        _fill(config.mesh, mesh.ONES | {mesh.DCN: mesh.ONES})
        offered = _offer_fields(config, overrides)
    config_lib.override(config, overrides)
    with config.unlocked():
        started = {part: path for part, path in config.init_from.items() if path}
        config.init_from = ConfigDict(started)
        for node, field in offered:
            del node[field]
    return config


def _as_override(text: str) -> str:
    return f"--config.{text.removeprefix('config.')}"


def _offer_fields(
    config: ConfigDict, overrides: Sequence[str]
) -> list[tuple[ConfigDict, str]]:
    """Give streams, and what overrides name of the rest, all their fields to be set.

    Returns:
      (group, field) of those that nobody names and that shall go again, so that a
      config says no more than was said.
    """
    matches = [match for text in overrides if (match := _FIELD.match(text))]
    named = [match[1] for match in matches]
    moved = dict(match.groups() for text in overrides if (match := _SOURCE.match(text)))
    offered = []
    for name, stream in config.streams.items():
        if name in moved:
            stream.source = moved[name]
        fields = _defaults_of(pipeline.stream_class(name, stream))
        for field in [field for field in stream if name in moved]:
            if field not in fields and field not in _OF_PIPELINE:
                del stream[field]
        offered += _offer(stream, fields, f"streams.{name}", named)
    for group, name in dict.fromkeys(match.group(2, 3) for match in matches):
        if group in _FIELDS_OF and name in config[group]:
            fields = _FIELDS_OF[group](name, config[group][name])
            offered += _offer(config[group][name], fields, f"{group}.{name}", named)
    return offered


def _offer(
    node: ConfigDict, fields: Mapping[str, Any], place: str, named: Sequence[str]
) -> list[tuple[ConfigDict, str]]:
    """Add what `node` lacks; gives back what of that none of `named` is or is below."""
    offered = []
    for field, value in fields.items():
        here = f"{place}.{field}"
        if field not in node:
            group = isinstance(value, Mapping)
            node[field] = ConfigDict() if group else value
            if not any(f"{one}.".startswith(f"{here}.") for one in named):
                offered.append((node, field))
        if isinstance(value, Mapping) and isinstance(node[field], ConfigDict):
            offered += _offer(node[field], value, here, named)
    return offered


def _of_part(name: str, given: ConfigDict) -> dict[str, Any]:
    """Fields of a part of the model, those of its size, groups as dicts."""
    made = build.build(vocabulary.resolved({name: given}))
    return dataclasses.asdict(made[name].config)


def _of_objective(label: str, given: ConfigDict) -> dict[str, Any]:
    return dataclasses.asdict(base.load({label: given})[label])


_FIELDS_OF = {"model": _of_part, "objectives": _of_objective}


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
