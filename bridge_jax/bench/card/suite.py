"""All works: compiled side by side, measured one after another.

What is known already is read and not run again.
"""

import contextlib
import datetime
import importlib.metadata
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bridge_jax.bench import piped
from bridge_jax.bench.card import process, works
from bridge_jax.core import log
from bridge_jax.core.errors import BridgeError

Report = dict[str, Any]  # name of a work, or "ceilings" -> what its process told
_PACKAGES = ("jax", "jaxlib", "flax")
# Many processes know the card at once, of which one has anything on it.
_MEMORY = {
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    "XLA_PYTHON_CLIENT_MEM_FRACTION": "0.95",
}


def check(names: Iterable[str]) -> None:
    """Raises BridgeError for works that there are not, all at once."""
    if unknown := [name for name in names if name not in works.WORKS]:
        raise BridgeError(
            f"no work {', '.join(unknown)}: there are {', '.join(works.WORKS)}"
        )


def run(
    configs: Mapping[str, Any],
    changes: Sequence[str] = (),
    file: Path | None = None,
    rounds: int = 5,
    together: int = 1,
) -> Report:
    """Measure the ceilings and the works.

    Args:
      configs: name of a work -> its resolved config.
      changes: to configs, for the record.
      file: where results stay; each is added as soon as it is known.
      together: works that compile at once, each of which keeps a core or two busy. One
        alone is ever measured, while none compiles.

    Raises:
      BridgeError: once all have been tried, those that failed.
    """
    report = _read(file)
    todo = [name for name in (process.CEILINGS, *configs) if name not in report]
    failed = []
    for start in range(0, len(todo), together):
        group = {name: configs.get(name) for name in todo[start : start + together]}
        for name, told in _measured(group, rounds):
            if told is None:
                failed.append(name)
                continue
            about = {"date": f"{datetime.date.today()}", "versions": _versions()}
            report[name] = told | about | {"changes": list(changes)}
            if file is not None:
                _write(file, report)
    if failed:
        raise BridgeError(f"{', '.join(failed)} failed, as told above; others are kept")
    return report


def _measured(
    group: Mapping[str, Any], rounds: int
) -> Iterable[tuple[str, dict[str, Any] | None]]:
    """What each work's process tells, None where it failed."""
    with contextlib.ExitStack() as stack:
        going: dict[str, tuple[piped.Piped, contextlib.ExitStack]] = {}
        for name in group:
            own = stack.enter_context(contextlib.ExitStack())
            command = [sys.executable, "-m", process.__name__, name, str(rounds)]
            started = piped.started(name, command, dict(os.environ) | _MEMORY)
            going[name] = own.enter_context(started), own
        log.say(f"compiling: {', '.join(group)}")
        ready = {
            name: _asked(one, "null" if group[name] is None else group[name].to_json())
            for name, (one, _) in going.items()
        }
        for name, (one, own) in going.items():
            if ready[name]:
                log.say(f"measuring: {name}")
            yield name, _asked(one, "measure") if ready[name] else None
            own.close()  # what it has on the card makes room


def _asked(one: piped.Piped, line: str) -> dict[str, Any] | None:
    try:
        return one.ask(line)
    except BridgeError as error:
        log.say(f"{error}")
        return None


def _read(file: Path | None) -> Report:
    if file is None or not file.exists():
        return {}
    with contextlib.suppress(OSError, ValueError):
        if isinstance(told := json.loads(file.read_text(encoding="utf-8")), dict):
            return told
    raise BridgeError(f"{file} holds no results of `bench card`; name another file")


def _write(file: Path, report: Report) -> None:
    fresh = file.with_name(f"{file.name}.new")
    fresh.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    fresh.replace(file)


def _versions() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in _PACKAGES}
