"""A fixture through the model it belongs to: every array compared or accounted for."""

import dataclasses
import fnmatch
import importlib
import pkgutil
from collections.abc import Iterable, Iterator, Sequence
from types import ModuleType

import jax
import numpy as np

from bridge_jax.core import weights as tables
from bridge_jax.core.config import suggest
from bridge_jax.core.errors import BridgeError
from bridge_jax.parity import comparison, components, fixture


@dataclasses.dataclass(frozen=True)
class Result:
    """Attributes:
    rows: what was compared.
    left_out: (name, reason) of every array that was not.
    """

    rows: tuple[comparison.Row, ...]
    left_out: tuple[tuple[str, str], ...]

    @property
    def holds(self) -> bool:
        return all(row.holds for row in self.rows)


def names() -> list[str]:
    """The kinds of fixtures there are."""
    return sorted(module.name for module in pkgutil.iter_modules(components.__path__))


def component(given: fixture.Fixture) -> ModuleType:
    """The file that knows this kind of fixture.

    Raises:
      BridgeError: there is none.
    """
    if given.name not in names():
        raise BridgeError(
            f"no component {given.name!r}{suggest(given.name, names())}: there are"
            f" {', '.join(names())}"
        )
    return importlib.import_module(f"{components.__name__}.{given.name}")


def run(given: fixture.Fixture) -> Result:
    """Compare everything that `given` records.

    Raises:
      BridgeError: no such component, or a fixture that does not fit it.
    """
    known = component(given)
    return compare(given, known, computed(given, known))


def computed(given: fixture.Fixture, known: ModuleType) -> list[comparison.Value]:
    """What the component makes of `given`, as precisely as the device can.

    Raises:
      BridgeError: a fixture that does not fit it.
    """
    with jax.default_matmul_precision("highest"):
        return list(known.compute(given))


def compare(
    given: fixture.Fixture, known: ModuleType, values: Iterable[comparison.Value]
) -> Result:
    """`values` beside what `given` records, and what stays uncompared."""
    rows = list(check_weights(given, known))
    compared = set()
    for value in values:
        compared.add(value.name)
        rows.append(comparison.compare(value, given[value.name]))
    left_out = []
    for name, array in given.arrays.items():
        kind = name.split("/")[0]
        if name in compared or kind == "w":
            continue
        reason = _reason(name, known.LEFT_OUT)
        if reason is not None:
            left_out.append((name, reason))
        elif kind != "in":  # an input without a reason is one that was used
            rows.append(comparison.failed(name, array.shape))
    return Result(tuple(rows), tuple(left_out))


def _reason(name: str, left_out: dict[str, str]) -> str | None:
    found = (why for what, why in left_out.items() if fnmatch.fnmatchcase(name, what))
    return next(found, None)


def check_weights(
    given: fixture.Fixture, known: ModuleType
) -> Iterator[comparison.Row]:
    """Through our tables and back, bit for bit; and no tensor is zero.

    Some tensors cannot show in any output: what shifts all keys of a softmax alike.
    Fixtures are recorded with every tensor non-zero, so a zero is a damaged one.
    """
    weights = given.weights
    if not weights:
        return
    there = back(known.rules(given), weights)
    changed = [n for n, w in weights.items() if not np.array_equal(there.get(n), w)]
    for name in changed:
        yield comparison.failed(f"w/{name}", weights[name].shape)
    for name, array in weights.items():
        if not np.any(array):
            yield comparison.failed(f"w/{name}", array.shape)
    count = sum(array.size for array in weights.values())
    yield comparison.Row(f"w/* in and out, {len(weights)} tensors", (count,), 0, 0, 0)


def back(
    rules: Sequence[Sequence[tables.Rule]], weights: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Reference tensors after the way through each part's table and back."""
    known = {rule.reference for part in rules for rule in part}
    unused = sorted(set(weights) - known)
    if unused:
        raise BridgeError(
            f"{len(unused)} weight(s) that no table reads: {', '.join(unused[:5])}"
        )
    there = {}
    for part in rules:
        params = tables.to_flax(part, weights, strict=False)
        there |= tables.to_reference(part, params)
    return there
