"""Export and import of a model of published size: memory, speed, equality of bytes.

Random bits stand for weights. Each conversion is a process of its own, so that the peak
of memory is its own.
"""

import dataclasses
import shutil
import subprocess
import sys
import time
from pathlib import Path

import ml_dtypes
import numpy as np

from bridge_jax.checkpoint import weights_file
from bridge_jax.convert import tensors, writer
from bridge_jax.core import config as config_lib
from bridge_jax.core import log, trees
from bridge_jax.core.errors import BridgeError
from bridge_jax.models import build
from bridge_jax.sharding import place

FORMAT = "qwen2_vl"
ALLOWED_SHARDS, ALLOWED_BYTES = 1.5, 2**30  # what peak memory must stay below
GIGA = 1e9


@dataclasses.dataclass(frozen=True)
class Run:
    """One conversion.

    Attributes:
      name: what was done.
      bytes: of all tensors.
      files: shards on the released side.
      shard: bytes of the largest of them.
      peak: most resident bytes of the process, mapped files included.
      seconds: from the start of the process to its end.
    """

    name: str
    bytes: int
    files: int
    shard: int
    peak: int
    seconds: float

    @property
    def allowed(self) -> float:
        return ALLOWED_SHARDS * self.shard + ALLOWED_BYTES

    @property
    def holds(self) -> bool:
        return self.peak <= self.allowed


def measure(workdir: Path, size: str = "7b", layers: int = 0) -> list[Run]:
    """Make a model, export it, import that again, and compare every byte.

    Args:
      workdir: needs room for three copies of the model; all are removed afterwards.
      size: of the Qwen2-VL table; `layers` other than 0 cuts its decoder.

    Raises:
      BridgeError: a conversion failed, what came back is not what went, or one of the
        three folders is there already.
    """
    ours, theirs, again = (workdir / name for name in ("ours", "theirs", "again"))
    there = [str(folder) for folder in (ours, theirs, again) if folder.exists()]
    if there:
        raise BridgeError(f"{', '.join(there)} would be overwritten; name a new folder")
    workdir.mkdir(parents=True, exist_ok=True)
    try:
        total = _make(ours, {"size": size, **({"layers": layers} if layers else {})})
        peaks = [
            _convert("export", ours, theirs),
            _convert("import", theirs, again),
        ]
        shards = [path.stat().st_size for path in theirs.glob("*.safetensors")]
        _check_equal(ours, again)
    finally:
        for folder in (ours, theirs, again):
            shutil.rmtree(folder, ignore_errors=True)
    return [
        Run(name, total, len(shards), max(shards), peak, seconds)
        for name, (peak, seconds) in zip(("export", "import"), peaks, strict=True)
    ]


def markdown(runs: list[Run]) -> str:
    """A table, one line a conversion."""
    lines = [
        "| | model | shards | peak memory | allowed | whole process |",
        "|---|---|---|---|---|---|",
    ]
    for run in runs:
        speed = run.bytes / 1e6 / run.seconds
        verdict = "" if run.holds else " EXCEEDED"
        lines.append(
            f"| {run.name} | {run.bytes / GIGA:.1f} GB | {run.files}, largest "
            f"{run.shard / GIGA:.1f} GB | {run.peak / GIGA:.2f} GB{verdict} | "
            f"{run.allowed / GIGA:.1f} GB | {run.seconds:.0f} s, {speed:.0f} MB/s |"
        )
    return "\n".join(lines)


def _make(folder: Path, overrides: dict) -> int:
    """Our layout with random bits in bfloat16; the bytes of its tensors."""
    bundle = build.build({"vlm": {"family": "qwen2_vl", **overrides}})
    shapes = trees.flatten(place.unbox(bundle.abstract()))
    specs = {path: ("BF16", tuple(leaf.shape)) for path, leaf in shapes.items()}
    folder.mkdir()
    draw = np.random.default_rng(0)
    file = folder / weights_file.WEIGHTS
    with writer.Writer(file, specs, {"format": "flax"}) as out:
        for path in log.progress(list(specs), "making a model"):
            shape = specs[path][1]
            bits = np.frombuffer(draw.bytes(writer.nbytes(specs[path])), np.uint16)
            out.write(path, bits.view(ml_dtypes.bfloat16).reshape(shape))
        out.finish()
        out.rename()
    about = config_lib.to_json({"model": bundle.description()})
    (folder / weights_file.CONFIG).write_text(about)
    return sum(writer.nbytes(spec) for spec in specs.values())


# Runs `bridge` and then tells its own peak. What the operating system tells a parent
# of its child counts the parent's memory too, which the child had until it began.
_CHILD = """
import resource, runpy, sys
peak, sys.argv = sys.argv[1], ["bridge", *sys.argv[2:]]
try:
    runpy.run_module("bridge_jax", run_name="__main__")
finally:
    try:
        lines = open("/proc/self/status").read().splitlines()
        most = [int(l.split()[1]) * 1024 for l in lines if l.startswith("VmHWM")][0]
    except OSError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    open(peak, "w").write(str(most))
"""


def _convert(verb: str, source: Path, target: Path) -> tuple[int, float]:
    """(peak resident bytes, seconds) of one `bridge` process."""
    told = target.with_name("peak")
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, told, verb, FORMAT, source, target], check=False
    )
    seconds = time.perf_counter() - began
    if done.returncode:
        raise BridgeError(f"bridge {verb} failed; its own line above says why")
    peak = int(told.read_text())
    told.unlink()
    return peak, seconds


def _check_equal(one: Path, other: Path) -> None:
    before, after = tensors.open_folder(one), tensors.open_folder(other)
    wrong = sorted(set(before) ^ set(after))
    wrong += [
        name
        for name in log.progress(sorted(set(before) & set(after)), "comparing")
        if not np.array_equal(before[name].view(np.uint16), after[name].view(np.uint16))
    ]
    if wrong:
        raise BridgeError(f"{len(wrong)} tensors changed, first {wrong[0]}")
