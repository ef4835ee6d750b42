"""Many races, one after another; what was raced before is read and not run again."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bridge_jax.bench.side_by_side import case, race
from bridge_jax.core import log
from bridge_jax.core.errors import BridgeError


def run(
    names: Sequence[str],
    sizes: Sequence[str],
    peer: str,
    file: Path | None = None,
    dtype: str = "float32",
    again: bool = False,
    **how: Any,
) -> tuple[list[race.Result], list[race.Disagreement]]:
    """Race every case at every size that it has.

    Args:
      names: of cases; all of them where there is none.
      file: where results stay: those it holds are kept, and each new one is added as
        soon as it is known.
      dtype: of weights and arithmetic.
      again: race what the file holds once more, and count the rounds of both: hours
        differ by more than rounds do.
      how: further arguments of `race.run`.

    Returns:
      (results, apart): all of that dtype that are known; what was not timed, as the
      sides did not agree.

    Raises:
      BridgeError: as `race.run` and `check`, or a file of other things.
    """
    check(names, sizes)
    known = case.names()
    found = _read(file) if file is not None and file.exists() else []
    apart: list[race.Disagreement] = []
    there = {(one.case, one.size, one.peer, one.dtype): one for one in found}
    for name in names or known:
        for size in case.named(name).sizes:
            before = there.get((name, size, peer, dtype))
            if size not in sizes or (before and not again):
                continue
            try:
                one = race.run(name, size, peer, dtype=dtype, **how)
            except race.Disagreement as error:
                log.say(str(error))
                apart.append(error)
                continue
            log.say(f"{name} {size}: {one.ratio:.2f} times as fast as {peer}")
            if before is None:
                found.append(one)
            else:
                found[found.index(before)] = before.joined(one)
            if file is not None:
                _write(file, found)
    asked = [one for one in found if one.dtype == dtype]
    asked.sort(
        key=lambda one: (
            known.index(one.case),
            one.peer,
            case.SIZES.index(one.size),
        )
    )
    return asked, apart


def check(names: Sequence[str], sizes: Sequence[str]) -> None:
    """Raises BridgeError for cases or sizes that there are not, all at once."""
    known = case.names()
    for what, given, all_ in (("case", names, known), ("size", sizes, case.SIZES)):
        if unknown := [name for name in given if name not in all_]:
            raise BridgeError(
                f"no {what} {', '.join(unknown)}: there are {', '.join(all_)}"
            )


def _read(file: Path) -> list[race.Result]:
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
        return [
            race.Result(
                **one
                | {
                    side: race.Times(
                        **one[side] | {"rounds": tuple(one[side]["rounds"])}
                    )
                    for side in ("ours", "theirs")
                }
            )
            for one in told
        ]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BridgeError(
            f"{file} holds no results of races ({error}); name another file"
        ) from None


def _write(file: Path, found: Sequence[race.Result]) -> None:
    fresh = file.with_name(f"{file.name}.new")
    told = json.dumps([dataclasses.asdict(one) for one in found], indent=1)
    fresh.write_text(told + "\n", encoding="utf-8")
    fresh.replace(file)
