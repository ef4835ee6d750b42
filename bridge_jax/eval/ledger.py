"""metrics.json of a folder: figures as "name/figure", and "settings" beside them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bridge_jax.core.errors import BridgeError
from bridge_jax.eval import records

FILE = "metrics.json"
# Where a folder keeps how each of its names was measured, beside the shared settings.
KINDS = ("tasks", "benchmarks")


def opened(out: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The metrics so far in `out`, which is ours from now on.

    Args:
      settings: what is shared by all figures of the folder; "weights" and, where both
        have one, "split" must be those of before.

    Raises:
      BridgeError: `out` holds something else, or figures of other weights.
    """
    claim(out)
    if not (out / FILE).is_file():
        return {"settings": dict(settings) | {"tasks": {}}}
    metrics = records.read_json(out / FILE)
    old = metrics.get("settings", {})
    for name in ("weights", "split"):
        here, there = settings.get(name), old.get(name)
        if here != there and (name == "weights" or (here and there)):
            raise BridgeError(
                f"{out} holds an evaluation of other {name} ({there});"
                " give a new directory"
            )
    kept = {kind: old[kind] for kind in KINDS if kind in old}
    split = {"split": old["split"]} if "split" in old else {}
    metrics["settings"] = {**split, **settings, "tasks": {}, **kept}
    return metrics


def claim(out: Path) -> None:
    """Make `out`, unless it is ours: empty, or with figures or answers of before.

    Raises:
      BridgeError: it cannot be made, or holds something else.
    """
    ours = (out / FILE).is_file() or any(map(_tells_of_data, out.glob("*.json")))
    if out.exists() and not ours and (not out.is_dir() or _things(out)):
        raise BridgeError(
            f"{out} holds something else than an evaluation; give a new directory"
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BridgeError(f"cannot make {out}: {error.strerror}") from None


def _tells_of_data(path: Path) -> bool:
    """Whether it is the record of a benchmark's answers, see `outside`."""
    record = records.read_json(path)
    return isinstance(record, Mapping) and "sha256" in record


def _things(folder: Path) -> list[Path]:
    """What is in it, but for what other processes are just writing."""
    return [path for path in folder.iterdir() if path.suffix != ".partial"]


def without(metrics: Mapping[str, Any], kind: str, name: str) -> dict[str, Any]:
    """The metrics less those of `name`, one of the settings' `kind`."""
    kept = {k: v for k, v in metrics.items() if not k.startswith(f"{name}/")}
    kept["settings"].get(kind, {}).pop(name, None)
    return kept


def added(
    metrics: Mapping[str, Any],
    kind: str,
    name: str,
    figures: Mapping[str, float],
    about: Mapping[str, Any],
) -> dict[str, Any]:
    """The metrics with those of `name`; settings come last, as they are long."""
    found = {key: value for key, value in metrics.items() if key != "settings"}
    found |= {f"{name}/{figure}": value for figure, value in figures.items()}
    settings = dict(metrics["settings"])
    settings[kind] = settings.get(kind, {}) | {name: dict(about)}
    return found | {"settings": settings}
