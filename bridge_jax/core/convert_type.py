"""One config value -> the type that a dataclass field declares."""

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

from ml_collections import ConfigDict

Build = Callable[[type, Any, str, list[str]], Any]


def field_types(cls: type) -> dict[str, Any]:
    """Name -> resolved type of every field that the constructor takes."""
    hints = typing.get_type_hints(cls)
    return {f.name: hints[f.name] for f in dataclasses.fields(cls) if f.init}


def convert(
    value: Any, wanted: Any, where: str, problems: list[str], build: Build
) -> Any:
    """`value` as `wanted`, noting a sentence in `problems` if it cannot be.

    `build(cls, mapping, where, problems)` makes nested dataclasses.
    """
    origin, args = typing.get_origin(wanted), typing.get_args(wanted)
    if origin in (typing.Union, types.UnionType):
        return _convert_union(value, args, where, problems, build)
    if origin is typing.Literal:
        if value not in args:
            problems.append(f"{where} is {value!r}, must be one of {list(args)}")
        return value
    if dataclasses.is_dataclass(wanted):
        return build(wanted, value, where, problems)
    if (origin or wanted) is tuple and isinstance(value, list | tuple):
        return _convert_tuple(value, args, where, problems, build)
    if (origin or wanted) in (dict, Mapping) or _is_abstract_mapping(origin):
        if isinstance(value, ConfigDict | Mapping):
            return value.to_dict() if isinstance(value, ConfigDict) else dict(value)
    elif wanted is float and type(value) is int:
        return float(value)
    elif wanted is Any or _is_instance(value, origin or wanted):
        return value
    problems.append(f"{where} is {value!r}, must be {_name(wanted)}")
    return value


def _convert_union(value, args, where, problems, build):
    attempts = []
    for option in args:
        found: list[str] = []
        result = convert(value, option, where, found, build)
        if not found:
            return result
        attempts.append(found)
    # Tell the mistakes of the richest option: of `Nested | None`, those of Nested.
    richest = [a for a, o in zip(attempts, args) if dataclasses.is_dataclass(o)]
    if richest and value is not None:
        problems += richest[0]
    else:
        names = " or ".join(_name(option) for option in args)
        problems.append(f"{where} is {value!r}, must be {names}")
    return value


def _convert_tuple(value, args, where, problems, build):
    if not args:
        return tuple(value)
    if args[-1] is Ellipsis:
        args = (args[0],) * len(value)
    if len(args) != len(value):
        problems.append(f"{where} has {len(value)} entries, must have {len(args)}")
        return tuple(value)
    return tuple(
        convert(item, kind, f"{where}[{i}]", problems, build)
        for i, (item, kind) in enumerate(zip(value, args))
    )


def _is_abstract_mapping(origin: Any) -> bool:
    return isinstance(origin, type) and issubclass(origin, Mapping)


def _is_instance(value: Any, kind: Any) -> bool:
    if not isinstance(kind, type):
        return True
    if isinstance(value, bool) and kind in (int, float):
        return False  # True is an int to Python, and never meant as one here
    return isinstance(value, kind)


def _name(kind: Any) -> str:
    return "None" if kind is type(None) else getattr(kind, "__name__", str(kind))
