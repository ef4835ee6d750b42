"""Reads the fields of a request, and tells everything that is wrong with them at once.

read = Reader({"n": 3, "sed": 1})
n = read.whole("n", 1, most=8)
seed = read.whole("seed", 0)
read.close()          # Refused: "no field 'sed' (did you mean 'seed'?)"
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bridge_jax.core.config import suggest
from bridge_jax.serve.refused import Refused

_SHOWN = 5
_LONG = 40  # characters of a stranger's value in a message
_NEEDED = object()
SEED = 2**32 - 1  # the largest
_FLAGS = {"true": True, "1": True, "false": False, "0": False}


class Reader:
    """One object of a request. A field that is null counts as left out.

    Args:
      given: name -> value.
      where: what stands before a field's name in messages.
      problems: list to add to, that of the object around this one.
      texts: values are texts, as in forms, and are read as what is wanted.
    """

    def __init__(
        self,
        given: Mapping[str, Any],
        where: str = "",
        problems: list[tuple[str, str]] | None = None,
        texts: bool = False,
    ):
        self._given = {name: v for name, v in given.items() if v is not None}
        self._known: set[str] = set()
        self._where, self._texts = where, texts
        self.problems = [] if problems is None else problems

    def has(self, name: str) -> bool:
        return name in self._given

    def any(self, name: str, default: Any = None) -> Any:
        """The value as it is."""
        self._known.add(name)
        return self._given.get(name, default)

    def wrong(self, name: str, why: str) -> None:
        """Note that a field cannot be as it is."""
        self.problems.append((f"{self._where}{name}", why))

    def whole(
        self, name: str, default: Any = _NEEDED, least: int = 0, most: int = SEED
    ) -> Any:
        """A whole number from `least` to `most`."""
        value = self._number(name, default, int, "whole number")
        return self._between(name, value, default, least, most)

    def number(
        self,
        name: str,
        default: Any = _NEEDED,
        least: float = 0.0,
        most: float = 1.0,
    ) -> Any:
        """A finite number from `least` to `most`, as float."""
        value = self._number(name, default, (int, float), "number")
        if isinstance(value, int) and not isinstance(value, bool):
            value = float(value) if abs(value) < 2**63 else math.inf
        return self._between(name, value, default, least, most)

    def flag(self, name: str, default: bool) -> bool:
        value = self.any(name, default)
        if self._texts and isinstance(value, str):
            value = _FLAGS.get(value.lower(), value)
        return self._is(name, value, default, bool, "true or false")

    def text(self, name: str, default: Any = _NEEDED) -> Any:
        """Words; empty ones do not count."""
        value = self._is(name, self._value(name, default), default, str, "a text")
        if isinstance(value, str) and value is not default and not value.strip():
            self.wrong(name, "is empty: write some words")
        return value

    def one_of(self, name: str, known: Sequence[str], default: str) -> str:
        value = self.any(name, default)
        if not isinstance(value, str) or value not in known:
            near = suggest(value[:_LONG], known) if isinstance(value, str) else ""
            self.wrong(name, f"{shown(value)} is none of {', '.join(known)}{near}")
            return default
        return value

    def objects(self, name: str, most: int, what: str) -> list["Reader"]:
        """The objects of a list that must not be empty, each to be read as this one."""
        given = self._is(name, self._value(name, _NEEDED), None, list, "a list")
        if not isinstance(given, list):
            return []
        if not 1 <= len(given) <= most:
            self.wrong(name, f"has {len(given):,} {what}: give 1 to {most:,}")
            return []
        return [self.object_of(value, f"{name}[{i}]") for i, value in enumerate(given)]

    def object_of(self, value: Any, name: str) -> "Reader":
        """A reader of `value`, which stands at `name` of this object."""
        if not isinstance(value, dict):
            self.wrong(name, f"is {shown(value)} and not an object")
            value = {}
        return Reader(value, f"{self._where}{name}.", self.problems)

    def ignore(self, *names: str) -> None:
        """Fields that change nothing here."""
        self._known.update(names)

    def refuse(self, empty: Sequence[Any], reasons: Mapping[str, str]) -> None:
        """Fields that we cannot obey: name -> why. `empty` values ask for nothing."""
        for name, why in reasons.items():
            value = self.any(name)
            # 0 is no False here: True == 1.
            asks = not any(value == one and type(value) is type(one) for one in empty)
            if value is not None and asks:
                self.wrong(name, why)

    def unknown(self) -> None:
        """Note the fields that nobody has read."""
        for name in sorted(set(self._given) - self._known):
            # Strangers can send long names, and many: only what is shown is compared.
            told = len(self.problems) < _SHOWN and len(name) <= _LONG
            near = suggest(name, sorted(self._known)) if told else ""
            self.wrong(shown(name)[1:-1], f"is no field of this request{near}")

    def close(self) -> None:
        """Raises Refused with everything that is wrong."""
        self.unknown()
        refuse(self.problems)

    def _value(self, name: str, default: Any) -> Any:
        value = self.any(name, default)
        if value is _NEEDED:
            self.wrong(name, "is missing")
            return None
        return value

    def _number(self, name: str, default: Any, kinds: Any, word: str) -> Any:
        value = self._value(name, default)
        if self._texts and isinstance(value, str):
            value = _read_number(value)
        if isinstance(value, bool) or not isinstance(value, kinds):
            if value is not default and value is not None:
                self.wrong(name, f"is {shown(value)} and not a {word}")
            return None if default is _NEEDED else default
        return value

    def _between(
        self, name: str, value: Any, default: Any, least: float, most: float
    ) -> Any:
        if value is None or value is default:
            return value
        if not least <= value <= most or not math.isfinite(value):
            self.wrong(
                name,
                f"{shown(value)} is not from {shown(least)} to {shown(most)}",
            )
            return None if default is _NEEDED else default
        return value

    def _is(self, name: str, value: Any, default: Any, kind: type, word: str) -> Any:
        if value is None or value is default or isinstance(value, kind):
            return value
        self.wrong(name, f"is {shown(value)} and not {word}")
        return None if default is _NEEDED else default


def refuse(problems: Iterable[tuple[str, str]]) -> None:
    """Raises Refused naming (field, why) of each problem, if there is one."""
    problems = list(problems)
    if not problems:
        return
    told = [f"{name} {why}" for name, why in problems[:_SHOWN]]
    if len(problems) > _SHOWN:
        told.append(f"and {len(problems) - _SHOWN} more")
    raise Refused(400, "; ".join(told), param=problems[0][0])


def shown(value: Any) -> str:
    """A stranger's value, short enough for a message."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    if isinstance(value, float):
        return f"{value:g}"
    text = value if isinstance(value, str) else str(value)
    text = text[:_LONG].encode("ascii", "backslashreplace").decode()
    return f"{text!r}" if isinstance(value, str) else text


def _read_number(text: str) -> Any:
    if len(text) > _LONG:
        return text
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
