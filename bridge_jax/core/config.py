"""Configs: a Python file -> ConfigDict -> frozen dataclasses, with "did you mean".

ConfigDict stops at the door: `load` is for the command line, `to_dataclass` is what
every room takes its settings through. All mistakes are reported at once.
"""

import ast
import dataclasses
import difflib
import importlib.util
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from bridge_jax.core import convert_type
from bridge_jax.core.errors import BridgeError

_ROOT = Path(__file__).resolve().parents[2]  # where `configs/` stands in a checkout


def load(spec: str, overrides: Sequence[str] = ()) -> ConfigDict:
    """The config of "path.py[:variant][,key=value...]" with overrides applied.

    Args:
      spec: a file with `get_config(variant: str)`; the file may list the variants it
        knows in `VARIANTS`. A relative path is also looked for beside the package.
      overrides: "--config.a.b=value" (or "a.b=value"); values are Python literals,
        anything else is a string.

    Raises:
      BridgeError: no such file or variant; every unknown key and wrong type at once.
    """
    head, inline = split(spec)
    path, _, variant = head.partition(":")
    module = _import(path)
    known = getattr(module, "VARIANTS", None)
    if known is not None and variant and variant not in known:
        raise BridgeError(
            f"{path} has no variant {variant!r}{suggest(variant, known)};"
            f" it has {', '.join(v for v in known if v) or 'none'}"
        )
    config = module.get_config(variant)
    override(config, [*inline, *overrides])
    return config


def split(spec: str) -> tuple[str, list[str]]:
    """ "path.py:variant" and the "key=value"s that follow it."""
    head, *inline = _split_commas(spec)
    path, _, variant = head.partition(":")
    return (path, [variant, *inline]) if "=" in variant else (head, inline)


def override(config: ConfigDict, assignments: Iterable[str]) -> None:
    """Set "a.b=value" assignments in place. Raises BridgeError with all mistakes."""
    problems = []
    for text in assignments:
        key, equals, value = text.removeprefix("--").partition("=")
        key = key.removeprefix("config.")
        if not equals:
            problems.append(f"{text!r} is not of the form --config.a.b=value")
            continue
        problems += _assign(config, key, _literal(value))
    _raise(problems)


def to_dataclass(
    cls: type, given: ConfigDict | Mapping[str, Any], where: str = "config"
) -> Any:
    """A frozen dataclass from a mapping, nested ones included.

    Integers pass as floats, lists as tuples, None only where the field allows it.

    Raises:
      BridgeError: every unknown key (with the nearest name), missing field and wrong
        type at once, each with its place below `where`.
    """
    problems: list[str] = []
    value = _build(cls, given, where, problems)
    _raise(problems)
    return value


def to_json(config: ConfigDict | Mapping[str, Any] | Any) -> str:
    """Indented JSON of a ConfigDict, a mapping or a dataclass, with sorted keys."""
    return json.dumps(plain(config), indent=2, sort_keys=True)


def from_json(text: str) -> ConfigDict:
    """Undo `to_json`. Sequences come back as tuples, which is what configs hold."""
    return ConfigDict(_tuples(json.loads(text)))


def plain(value: Any) -> Any:
    """Nested ConfigDicts, dataclasses and tuples as JSON's dicts and lists."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if isinstance(value, ConfigDict | Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return value


def suggest(name: str, known: Iterable[str]) -> str:
    """' (did you mean 'x'?)' for the nearest known name, or ''."""
    near = difflib.get_close_matches(name, [k for k in known if k], n=1, cutoff=0.5)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _import(path: str) -> Any:
    file = Path(path)
    if not file.is_file() and not file.is_absolute():
        file = _ROOT / path
    if not file.is_file():
        there = sorted(p.name for p in (_ROOT / "configs").glob("*.py"))
        hint = suggest(file.name, there)
        raise BridgeError(f"no config file {path}{hint}")
    # `from configs import common` must work wherever the command is started.
    home = str(file.resolve().parent.parent)
    sys.path.insert(0, home)
    try:
        spec = importlib.util.spec_from_file_location(f"_config_{file.stem}", file)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(home)
    if not hasattr(module, "get_config"):
        raise BridgeError(f"{path} defines no get_config(variant)")
    return module


def _split_commas(text: str) -> list[str]:
    """Split at commas outside brackets: "tiny,a=(1,2),b=3"."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def _literal(text: str) -> Any:
    named = {"true": True, "false": False, "none": None}
    if text.lower() in named:
        return named[text.lower()]
    try:
        return _tuples(ast.literal_eval(text))
    except (ValueError, SyntaxError):
        return text


def _tuples(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return tuple(_tuples(item) for item in value)
    return value


def _assign(config: ConfigDict, key: str, value: Any) -> list[str]:
    *parents, last = key.split(".")
    node, seen = config, []
    for name in [*parents, last]:
        if not isinstance(node, ConfigDict) or name not in node:
            known = list(node) if isinstance(node, ConfigDict) else []
            place = ".".join([*seen, name])
            valid = ", ".join(known) or "nothing below a value"
            hint = suggest(name, known)
            return [f"unknown config key {place!r}{hint}; valid here: {valid}"]
        seen.append(name)
        if len(seen) <= len(parents):
            node = node[name]
    wanted = node.get_type(last)
    if isinstance(node[last], ConfigDict):
        return [f"{key} is a group of keys; set one of {', '.join(node[last])}"]
    if wanted is float and type(value) is int:
        value = float(value)
    if wanted is int and type(value) is float and value.is_integer():
        value = int(value)  # 2e5 steps
    if wanted is str and not isinstance(value, str | None):
        value = str(value)
    fits = wanted is type(None) or value is None or type(value) is wanted
    if not fits:
        return [f"{key} is {wanted.__name__}, got {value!r}"]
    with node.ignore_type():
        node[last] = value
    return []


def _build(cls: type, given: Any, where: str, problems: list[str]) -> Any:
    if isinstance(given, cls):
        return given
    if not isinstance(given, Mapping | ConfigDict):
        problems.append(f"{where} is {given!r}, not a group of keys")
        return None
    types = convert_type.field_types(cls)
    unknown = [key for key in given if key not in types]
    problems += [f"unknown key {where}.{k}{suggest(k, types)}" for k in unknown]
    values = {}
    for field in dataclasses.fields(cls):
        place = f"{where}.{field.name}"
        if not field.init:
            continue
        if field.name in given:
            values[field.name] = convert_type.convert(
                given[field.name], types[field.name], place, problems, _build
            )
        elif _is_required(field):
            problems.append(f"{place} is missing")
    return None if problems else cls(**values)


def _is_required(field: dataclasses.Field) -> bool:
    none = dataclasses.MISSING
    return field.default is none and field.default_factory is none


def _raise(problems: Sequence[str]) -> None:
    if problems:
        raise BridgeError("; ".join(problems))
