"""A training step that reads captions from a cache, against one that decodes them.

The shipped model's adaption (stage 2, the generation stream alone). The reference
decodes the captions of a batch in every step, token by token and sample by sample, and
keeps the states of decoding. So the steps that decode here are given their states, and
the one that reads captions alone computes them again, by one prefill.
"""

import dataclasses
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bridge_jax.bench import stepper
from bridge_jax.core import config as config_lib
from bridge_jax.core import log
from bridge_jax.core.errors import BridgeError
from bridge_jax.core.types import Params
from bridge_jax.data import pipeline
from bridge_jax.data.cache import origin, reading, wishes
from bridge_jax.inference import precompute
from bridge_jax.inference.answering import continuous, decode
from bridge_jax.inference.drawing import captions
from bridge_jax.inference.engine import Engine
from bridge_jax.train import cached, recipe

CONFIG = "configs/shapes_stage2.py:adaption"
STREAM = "generate"
KINDS = ("captions", "targets", "states")
NAMES = (
    "captions read, states by one prefill",
    "captions, targets and states read",
    "captions decoded, the batch at once",
    "captions decoded one by one, as the reference does",
)


@dataclasses.dataclass(frozen=True)
class Result:
    """Seconds, the median of the rounds.

    Attributes:
      rows: samples a step.
      steps: a name -> seconds of a whole step.
      build: to make the captions of as many rows.
    """

    rows: int
    steps: dict[str, float]
    build: float


def measure(
    workdir: Path, rows: int = 48, rounds: int = 5, spec: str = CONFIG
) -> Result:
    """Build a cache of `rounds` + 1 batches, then take the steps each way.

    Raises:
      BridgeError: the folder is there already.
    """
    if workdir.exists():
        raise BridgeError(f"{workdir} is there already; name a new folder")
    config = config_lib.to_dataclass(recipe.Config, config_lib.load(spec))
    streams = {STREAM: dict(config.streams[STREAM]) | {"batch": rows}}
    config = dataclasses.replace(config, streams=streams)
    count = rows * (rounds + 1)
    plan = precompute.Plan(streams, {STREAM: count}, KINDS, rows)
    bundle, layout, params = cached.frozen(config, KINDS)
    engine = Engine(bundle, recipe.make(config).processor, layout)
    about = (config.processor, captions.decoding(engine.processor), {})
    made_by = cached.made_by(bundle, params, cached.parts_of(KINDS), *about)
    origin.claim(workdir, made_by)
    precompute.fill(engine, params, plan, workdir)
    reads, brings = (
        stepper.stepper(
            dataclasses.replace(config, cache=reading.Settings(str(workdir), kinds))
        )
        for kinds in ("captions", ",".join(KINDS))
    )
    alone, at_once = _alone(engine, params), _at_once(engine, params)
    built = _at_once(engine, params, continuous.answers)  # as `precompute` does
    seconds: dict[str, list[float]] = {name: [] for name in (*NAMES, "")}
    for texts in log.progress(_asked(engine, streams, rows, rounds + 1), "steps"):
        read, brought = stepper.timed(reads), stepper.timed(brings)
        batch, single = stepper.timed(at_once, texts), stepper.timed(alone, texts)
        build = stepper.timed(built, texts)
        taken = (read, brought, batch + brought, single + brought, build)
        for name, one in zip(seconds, taken, strict=True):
            seconds[name].append(one)
    # The first round compiles.
    medians = {name: statistics.median(some[1:]) for name, some in seconds.items()}
    build = medians.pop("")
    return Result(rows, medians, build)


def markdown(result: Result) -> str:
    """A table, one line a way; the first is what the others are compared with."""
    first = next(iter(result.steps.values()))
    lines = [f"| a step of {result.rows} samples | times the first |", "|---|---|"]
    lines += [f"| {name} | {one / first:.2f} |" for name, one in result.steps.items()]
    once = result.build / first
    lines.append(f"| once, to make the captions of as many rows | {once:.2f} |")
    return "\n".join(lines)


def _asked(engine: Engine, streams: Any, rows: int, batches: int) -> list[list[str]]:
    """The prompts of each batch."""
    heard = wishes.Heard()
    stream, _ = pipeline.opened(STREAM, streams[STREAM], engine.processor, heard)
    for index in range(rows * batches):
        stream(index)
    texts = [wish.text for wish in heard.wishes]
    return [texts[i : i + rows] for i in range(0, len(texts), rows)]


def _alone(engine: Engine, params: Params) -> Callable[[list[str]], None]:
    def written(texts: list[str]) -> None:
        for text in texts:
            captions.rewritten(engine, params, [text])

    return written


def _at_once(
    engine: Engine, params: Params, answers: decode.Answers = decode.answers
) -> Callable[[list[str]], None]:
    def written(texts: list[str]) -> None:
        captions.rewritten(engine, params, texts, answers)

    return written
