"""Outside benchmarks: answered by a model, then scored without one.

    outside.answer(model, "geneval", Path("evaluation_metadata.jsonl"), Path("out"))
    metrics = outside.score("geneval", data, Path("out"), "geneval_results:r.jsonl")

    OUT/NAME/         what `Benchmark.answer` writes, laid out as published
    OUT/NAME.json     what it was made with: weights, options, versions, hash of DATA
    OUT/metrics.json  "NAME/figure" -> number, and "settings"

The contract of a benchmark stands in `bridge_jax.eval.benchmarks`.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bridge_jax.core import config as config_lib
from bridge_jax.core import rooms
from bridge_jax.core.errors import BridgeError
from bridge_jax.eval import ledger, provenance, records
from bridge_jax.eval import options as options_lib
from bridge_jax.eval.options import Options
from bridge_jax.eval.outside.shards import WHOLE, Shard
from bridge_jax.eval.system import System

ROOM = "bridge_jax.eval.benchmarks"
# What answers of one folder have in common.
_SAME = ("weights", "dtype", "versions", "sha256", "options")


def opened(name: str, data: Path, scorer: str | None = None) -> Any:
    """The benchmark `name`, its data read and checked.

    Raises:
      BridgeError: no such benchmark; all mistakes in its data; a scorer that it can
        tell to be wrong already.
    """
    benchmark = rooms.load(ROOM, name, "Benchmark", "--benchmark")
    if not data.exists():
        raise BridgeError(f"--benchmark {name}={data}: there is no such file or folder")
    found = benchmark(data)
    if hasattr(found, "check"):
        found.check(scorer)
    return found


def title(name: str) -> str:
    """What a benchmark is called in files and figures: the last word of a module."""
    return name.rpartition(".")[2]


def answer(
    model: System,
    name: str,
    data: Path,
    out: Path,
    *,
    shard: Shard = WHOLE,
    **options: Any,
) -> None:
    """Let the model answer what is not answered yet of this shard.

    Args:
      options: fields of `options.Options`.

    Raises:
      BridgeError: wrong options or data; `out` holds something else, or answers that
        were made otherwise.
    """
    chosen = options_lib.made(options)
    benchmark = opened(name, data)
    about = provenance.of(model) | {
        "benchmark": name,
        "data": data.name,
        "sha256": provenance.data_hash(data),
        "options": _drawn_with(chosen),
    }
    file = _record(out, name)
    ledger.claim(out)
    if file.is_file():
        _compare(file, records.read_json(file), about)
    else:
        records.write_json(file, about)
    folder = out / title(name)
    folder.mkdir(exist_ok=True)
    benchmark.answer(model, folder, chosen, shard)


def score(
    name: str, data: Path, out: Path, scorer: str | None = None
) -> dict[str, Any]:
    """Score what is answered, and write metrics.json.

    Returns:
      What metrics.json holds; `figures` of it are those of this benchmark.

    Raises:
      BridgeError: nothing was answered, or not all, or of other data; no judge.
    """
    benchmark = opened(name, data, scorer)
    file = _record(out, name)
    if not file.is_file():
        raise BridgeError(
            f"{out} holds no answers of {title(name)} ({file.name} is missing); run the"
            " same with --only answer first"
        )
    about = records.read_json(file)
    found = {"sha256": provenance.data_hash(data)}
    _compare(file, about, found)
    shared = {key: about[key] for key in ("weights", "model", *provenance.OF_A_RUN)}
    metrics = ledger.opened(out, shared)
    began = time.perf_counter()
    figures = benchmark.score(out / title(name), scorer)
    about = {key: value for key, value in about.items() if key != "model"} | {
        "scorer": scorer,
        "scored_with": provenance.versions(),
        "seconds": round(time.perf_counter() - began, 2),
    }
    metrics = ledger.without(metrics, "benchmarks", title(name))
    metrics = ledger.added(metrics, "benchmarks", title(name), figures, about)
    records.write_json(out / ledger.FILE, metrics)
    return metrics


def figures(metrics: Mapping[str, Any], name: str) -> dict[str, float]:
    """Those of one benchmark, "NAME/figure" -> number."""
    start = f"{title(name)}/"
    return {key: value for key, value in metrics.items() if key.startswith(start)}


def _record(out: Path, name: str) -> Path:
    return out / f"{title(name)}.json"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _drawn_with(options: Options) -> dict[str, Any]:
    """Without what only the shapes world asks."""
    plain = config_lib.plain(options)
    found = {name: plain[name] for name in options_lib.OF_ANY_BENCHMARK}
    return found | {"condition": options.conditions[0]}


def _compare(file: Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Raise BridgeError if answers so far were made otherwise."""
    problems = []
    for name in (name for name in _SAME if name in new):
        there, here = old.get(name), new[name]
        if name == "options":  # older answers know fewer of them
            there = _drawn_with(Options()) | _mapping(there)
        if there == here:
            continue
        if name in ("options", "versions"):
            problems += [
                f"{key} {_mapping(there).get(key)!r} and not {value!r}"
                for key, value in here.items()
                if _mapping(there).get(key) != value
            ]
        else:
            what = "data" if name == "sha256" else name
            problems.append(f"other {what} ({str(there)[:12]}, not {str(here)[:12]})")
    if problems:
        raise BridgeError(
            f"{file.parent} holds answers of {file.stem} made with"
            f" {', '.join(problems)}; give a new directory"
        )
