"""What will be read and written, before a byte of it is: all misfits at once."""

import dataclasses
import importlib
import pkgutil
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any

import jax
import numpy as np

from bridge_jax.convert import formats, writer
from bridge_jax.convert.tensors import Tensors
from bridge_jax.core import trees, weights
from bridge_jax.core.config import suggest
from bridge_jax.core.errors import BridgeError
from bridge_jax.core.weights import Rule
from bridge_jax.models import build

_SHOWN = 12


@dataclasses.dataclass(frozen=True)
class Move:
    """What one tensor to be written is made of.

    Attributes:
      sources: names where it is read; several where it is joined of pieces.
      target: its name where it is written.
      rules: of the sources, in their order, when importing; its own when exporting.
      spec: dtype and shape where it is written.
    """

    sources: tuple[str, ...]
    target: str
    rules: tuple[Rule, ...]
    spec: writer.Spec


def names() -> list[str]:
    """The formats there are."""
    return sorted(module.name for module in pkgutil.iter_modules(formats.__path__))


def named(name: str) -> ModuleType:
    """The format of that name. Raises BridgeError with the valid ones."""
    if name not in names():
        raise BridgeError(
            f"no format {name!r}{suggest(name, names())}:"
            f" there are {', '.join(names())}"
        )
    return importlib.import_module(f"{formats.__name__}.{name}")


def shapes(model: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """path -> shape of every parameter of a model's description."""
    boxed = build.build(model).abstract()
    flat = trees.flatten(jax.tree.map(_value, boxed, is_leaf=_is_box))
    return {path: tuple(leaf.shape) for path, leaf in flat.items()}


def _is_box(x: Any) -> bool:
    return hasattr(x, "names")


def _value(x: Any) -> Any:
    return x.value if _is_box(x) else x


def description(model: Mapping[str, Any]) -> dict[str, Any]:
    """The model's description with every field spelled out."""
    return build.build(model).description()


def configs(model: Mapping[str, Any]) -> dict[str, Any]:
    """part -> its family's config."""
    parts = build.build(model).parts
    return {name: part.config for name, part in parts.items()}


def importing(
    form: ModuleType, model: Mapping[str, Any], tensors: Tensors
) -> tuple[list[Move], list[str]]:
    """(moves from a released layout to ours, names of tensors that are left out).

    Raises:
      BridgeError: every tensor that is missing, of no use, of the wrong shape or not a
        floating one.
    """
    wanted = shapes(model)
    moves: list[Move] = []
    problems: list[str] = []
    used: set[str] = set()
    for part, table in form.rules(configs(model)).items():
        for path, rules in weights.by_path(table).items():
            sources = _sources(form, rules, tensors, problems)
            used |= set(sources)
            if len(sources) < len(rules):
                continue
            shape = wanted[f"{part}/{path}"]
            problems += _misfits(rules, sources, shape, tensors)
            spec = (tensors.dtypes[sources[0]], shape)
            moves.append(Move(sources, f"{part}/{path}", tuple(rules), spec))
    left = [name for name in tensors if name not in used]
    patterns = [re.compile(pattern) for pattern in form.IGNORED]
    ignored = [name for name in left if any(p.fullmatch(name) for p in patterns)]
    known = [rule.reference for t in form.rules(configs(model)).values() for rule in t]
    for name in left:
        if name not in ignored:
            problems.append(f"unused: {name}{_near(name, known, problems)}")
    _raise(problems)
    return moves, ignored


def exporting(
    form: ModuleType, model: Mapping[str, Any], tensors: Tensors
) -> list[Move]:
    """Moves from our layout to a released one; parts that it has no place for stay.

    Raises:
      BridgeError: the model has no part of the format, or misfits, all at once.
    """
    held = {name: part for name, part in model.items() if _holds(tensors, name)}
    try:
        found = form.rules(configs(held))
    except KeyError as error:
        raise BridgeError(
            f"this model has no part {error} to write; it has {', '.join(held)}"
        ) from None
    wanted, moves, problems = shapes(held), [], []
    for part, table in found.items():
        for rule in table:
            path = f"{part}/{rule.path}"
            if path not in tensors.shapes:
                problems.append(f"missing: {path}{_near(path, tensors, problems)}")
            elif tensors.shapes[path] != wanted[path]:
                problems.append(f"{path} has shape {tensors.shapes[path]}")
            else:
                spec = (tensors.dtypes[path], _released(rule, wanted[path]))
                moves.append(Move((path,), rule.reference, (rule,), spec))
    _raise(problems)
    return moves


def _holds(tensors: Tensors, part: str) -> bool:
    return any(name.startswith(f"{part}/") for name in tensors)


def _found(form: ModuleType, name: str, tensors: Tensors) -> str | None:
    others = form.spelled(name) if hasattr(form, "spelled") else ()
    return next((one for one in (name, *others) if one in tensors.shapes), None)


def _sources(
    form: ModuleType, rules: Sequence[Rule], tensors: Tensors, problems: list[str]
) -> tuple[str, ...]:
    """Where the tensors of `rules` are; those that are nowhere become problems."""
    found = []
    for rule in rules:
        source = _found(form, rule.reference, tensors)
        if source is None:
            near = _near(rule.reference, tensors, problems)
            problems.append(f"missing: {rule.reference}{near}")
        else:
            found.append(source)
    return tuple(found)


def _misfits(
    rules: Sequence[Rule],
    sources: Sequence[str],
    wanted: tuple[int, ...],
    tensors: Tensors,
) -> Iterator[str]:
    types = {tensors.dtypes[source] for source in sources}
    for rule, source in zip(rules, sources, strict=True):
        shape, dtype = tensors.shapes[source], tensors.dtypes[source]
        right = _released(rule, wanted)
        if shape != right:
            yield f"{source} has shape {shape}: the config makes it {right}"
        if not _floats(dtype):
            yield f"{source} is {dtype}: not a weight"
        elif len(types) > 1:
            yield f"{source} is {dtype}: what it is joined with is another type"


def _released(rule: Rule, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The released shape of one of ours."""
    hollow = np.zeros(shape, np.dtype([]))  # shape without content: no byte is taken
    return tuple(weights.undone(rule, hollow).shape)


def _near(name: str, known: Iterable[str], problems: list[str]) -> str:
    """The nearest known name; only for what is shown, as looking takes long."""
    return suggest(name, known) if len(problems) < _SHOWN else ""


def _floats(dtype: str) -> bool:
    return dtype in ("F64", "F32", "F16", "BF16")


def _raise(problems: list[str]) -> None:
    if problems:
        more = f" and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise BridgeError(
            f"{len(problems)} weight problem(s): {'; '.join(problems[:_SHOWN])}{more}"
        )


def read(move: Move, tensors: Tensors, importing: bool) -> np.ndarray:
    """The tensor to be written."""
    arrays = [tensors[name] for name in move.sources]
    if importing:
        return weights.turned(move.rules, arrays)
    return weights.undone(move.rules[0], arrays[0])


def shards(moves: list[Move], most: int) -> Iterator[list[Move]]:
    """Moves in order, cut before a shard would hold more than `most` bytes."""
    shard: list[Move] = []
    size = 0
    for move in moves:
        one = writer.nbytes(move.spec)
        if shard and size + one > most:
            yield shard
            shard, size = [], 0
        shard.append(move)
        size += one
    if shard:
        yield shard
