"""All works, one after another; what is known already is read and not run again."""

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
_SHARE = "0.92"  # of the card's memory that jax may take; it takes three quarters


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
) -> Report:
    """Measure the ceilings and the works.

    Args:
      configs: name of a work -> its resolved config.
      changes: that were made to configs. A result with others is measured again.
      file: where results stay; each is added as soon as it is known.

    Raises:
      BridgeError: once all have been tried, those that failed.
    """
    report = _read(file)
    failed = []
    for name in (process.CEILINGS, *configs):
        own = [] if name == process.CEILINGS else list(changes)
        if name in report and report[name]["changes"] == own:
            continue
        log.say(f"{name} ...")
        told = _measured(name, configs.get(name), rounds)
        if told is None:
            failed.append(name)
            continue
        about = {"date": f"{datetime.date.today()}", "versions": _versions()}
        report[name] = told | about | {"changes": own}
        if file is not None:
            _write(file, report)
    if failed:
        raise BridgeError(f"{', '.join(failed)} failed, as told above; others are kept")
    return report


def _measured(name: str, config: Any, rounds: int) -> dict[str, Any] | None:
    """What a work's process tells, None where it failed.

    Each has the card to itself, compilation included: XLA tries its kernels on it.
    """
    command = [sys.executable, "-m", process.__name__, name, str(rounds)]
    environment = {"XLA_PYTHON_CLIENT_MEM_FRACTION": _SHARE} | dict(os.environ)
    given = "null" if config is None else config.to_json()
    with piped.started(name, command, environment) as one:
        try:
            return one.ask(given)
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
