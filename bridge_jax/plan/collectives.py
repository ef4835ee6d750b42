"""What a compiled program sends over the wires, read from its text.

Loops count as often as they run, where their conditions tell (XLA's own analysis counts
them once); a loop until something happens, as decoding is, counts one turn.
"""

import dataclasses
import math
import re
from collections import Counter
from collections.abc import Iterator

KINDS = (
    "all-gather",
    "all-reduce",
    "reduce-scatter",
    "all-to-all",
    "collective-permute",
)
_SIZES = {"pred": 1, "s8": 1, "u8": 1, "f8": 1, "s16": 2, "u16": 2, "bf16": 2, "f16": 2}
_SIZES |= {"s32": 4, "u32": 4, "f32": 4, "s64": 8, "u64": 8, "f64": 8}
_COMPUTATION = re.compile(r"^(?:ENTRY )?%?([\w.\-]+) \(.*\{$")
_ARRAY = re.compile(r"\b([a-z]+\d*)\w*\[([\d,]*)\]")
_CALLED = re.compile(
    r"(?:calls|to_apply|body|branch_computations|async_execution_thread)="
    r"\{?((?:%?[\w.\-]+(?:, )?)+)\}?"
)
_WHILE = re.compile(r" while\(.*condition=%?([\w.\-]+), body=%?([\w.\-]+)")
_KNOWN = re.compile(r'"known_trip_count":\{"n":"(\d+)"')
_LIMIT = re.compile(r"= [su](?:32|64)\[\][^ ]* constant\((\d+)\)")
_OPERATION = re.compile(rf"= (.*?) ({'|'.join(KINDS)})(-start)?\(")

Array = tuple[str, tuple[int, ...]]  # as XLA calls its type, and its shape


@dataclasses.dataclass(frozen=True)
class Collective:
    """One operation over several devices.

    Attributes:
      kind: of KINDS.
      arrays: what each device has of it in the end.
      received: bytes that one device receives in one turn, see `sent`.
      times: how often it runs in one execution.
    """

    kind: str
    arrays: tuple[Array, ...]
    received: float
    times: float

    @property
    def largest(self) -> float:
        """Bytes of the largest of its arrays."""
        return max(map(_size, self.arrays), default=0.0)


def sent(text: str) -> dict[str, float]:
    """Bytes that one device receives in one execution, by kind of collective.

    A ring of n devices is assumed: (n - 1) / n of the gathered or scattered array,
    twice that for an all-reduce.

    Args:
      text: of a compiled module, `compiled.as_text()`.
    """
    total: Counter[str] = Counter()
    for one in found(text):
        total[one.kind] += one.received * one.times
    return dict(total)


def found(text: str) -> list[Collective]:
    """Every collective of a compiled module, given as for `sent`, in its order."""
    computations, entry = _computations(text)
    return list(_walk(computations, entry, 1.0))


def _computations(text: str) -> tuple[dict[str, list[str]], str]:
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    entry = ""
    for line in text.splitlines():
        if match := _COMPUTATION.match(line):
            lines = found.setdefault(match[1], [])
            entry = match[1] if line.startswith("ENTRY") else entry
        else:
            lines.append(line)
    return found, entry


def _walk(
    computations: dict[str, list[str]], name: str, times: float
) -> Iterator[Collective]:
    """Each collective in a computation and below it."""
    for line in computations.get(name, []):
        if match := _WHILE.search(line):
            condition, body = match[1], match[2]
            inside = list(_walk(computations, body, 1.0))
            if inside:
                turns = times * _turns(line, computations[condition])
                for one in inside:
                    yield dataclasses.replace(one, times=turns * one.times)
        elif match := _OPERATION.search(line):
            # XLA on TPU spells a reduce-scatter as an all-reduce of which a slice is
            # taken, in a computation of its own.
            kind = match[2]
            if kind == "all-reduce" and "all-reduce-scatter" in name:
                kind = "reduce-scatter"
            pairs = bool(match[3]) and kind != "all-reduce"
            arrays = _arrays(match[1], pairs)
            size = _received(kind, sum(map(_size, arrays)), _group(line), name)
            yield Collective(kind, arrays, size, times)
        elif match := _CALLED.search(line):
            for called in re.split(r", ", match[1]):
                yield from _walk(computations, called.strip("% "), times)


def _turns(line: str, condition: list[str]) -> int:
    """How often a loop runs: told, or what its counter is compared with; else 1."""
    if match := _KNOWN.search(line):
        return int(match[1])
    limits = [int(found[1]) for line in condition if (found := _LIMIT.search(line))]
    less = any("direction=LT" in line for line in condition)
    others = any(" and(" in line for line in condition)
    return limits[0] if len(limits) == 1 and less and not others else 1


def _arrays(shapes: str, pairs: bool) -> tuple[Array, ...]:
    """An operation's result.

    `pairs`: it was only started, and its inputs stand before its results, perhaps with
    counters of the backend behind them.
    """
    arrays = _ARRAY.findall(shapes)
    if pairs:
        arrays = [one for one in arrays if one != ("u32", "")]
        arrays = arrays[len(arrays) // 2 :]
    return tuple(
        (kind, tuple(int(side) for side in dimensions.split(",") if side))
        for kind, dimensions in arrays
    )


def _size(array: Array) -> float:
    kind, shape = array
    return float(_SIZES.get(kind, 0)) * math.prod(shape)


def _group(line: str) -> int:
    """How many devices take part together."""
    if match := re.search(r"replica_groups=\{\{([\d,]+)\}", line):
        return match[1].count(",") + 1
    if match := re.search(r"replica_groups=\[\d+,(\d+)\]", line):
        return int(match[1])
    if match := re.search(r"replica_groups=mesh\[(.*?)\] \{(.*?)\}", line):
        sizes = dict(re.findall(r"'(\w+)'=(\d+)", match[1]))
        return math.prod(int(sizes[name]) for name in re.findall(r"'(\w+)'", match[2]))
    return 2  # pairs of a permutation


def _received(kind: str, size: float, group: int, name: str) -> float:
    share = (group - 1) / group
    match kind:
        case "all-reduce":
            return 2 * size * share
        case "reduce-scatter" if "all-reduce-scatter" not in name:
            return size * (group - 1)  # the result is one share of what is scattered
        case "collective-permute":
            return size
    return size * share
