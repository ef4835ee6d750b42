"""A cache filled: what frozen parts make of the rows of a run's streams.

Rows come in windows. A window's new records are computed in batches over the whole
mesh and written as one shard a kind, so what is interrupted loses one window, and a
resumed build computes the same batches as one that was not.

Captions are decoded as for every user, greedily, but that a row which has stopped is
given to the next conversation at once (see `continuous.py`).
"""

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from bridge_jax.core import log, rng
from bridge_jax.core.errors import BridgeError
from bridge_jax.core.types import Params
from bridge_jax.data import pipeline
from bridge_jax.data import processor as processor_lib
from bridge_jax.data.cache import fields, reading, records, shards, store, wishes
from bridge_jax.inference import batching, inputs
from bridge_jax.inference.answering import continuous
from bridge_jax.inference.drawing import captions
from bridge_jax.inference.engine import Engine
from bridge_jax.inference.results import Caption
from bridge_jax.models import bundle as bundle_lib
from bridge_jax.models import view as view_lib

WINDOW = 1024  # rows
CONTEXT = 1 << 15  # tokens: rows of training bound themselves
CAPTIONS = "captions"


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is to be made.

    Attributes:
      streams: name -> fields of a stream, as in a config.
      rows: name -> how many rows of it, from the first.
      kinds: what the run will read; states and targets are of the captions in it.
      window: rows a shard.
      share, shares: this process takes every `shares`-th window, from its own on.
    """

    streams: Mapping[str, Mapping[str, Any]]
    rows: Mapping[str, int]
    kinds: tuple[str, ...] = (CAPTIONS,)
    window: int = WINDOW
    share: int = 0
    shares: int = 1

    def windows(self, name: str) -> Iterator[range]:
        """This process's rows of a stream."""
        starts = range(0, self.rows[name], self.window)
        for start in starts[self.share :: self.shares]:
            yield range(start, min(start + self.window, self.rows[name]))

    @property
    def label(self) -> str:
        """Of this process's shards."""
        return f"{self.share}of{self.shares}-" if self.shares > 1 else ""


def fill(engine: Engine, params: Params, plan: Plan, folder: Path) -> dict[str, int]:
    """Add to a cache what its records lack of `plan`; how many of each kind are new.

    Raises:
      BridgeError: rows that cannot be made, or a disk that cannot be written to.
    """
    made = dict.fromkeys(plan.kinds, 0)
    writer = shards.Writer(folder, plan.label)
    store.forget()  # whoever opened this folder before it grew
    held = {kind: set(store.Kind(folder, kind)) for kind in plan.kinds}

    def add(kind: str, new: Mapping[bytes, Mapping[str, np.ndarray]]) -> None:
        if new:
            packed = {name: records.pack(name, one) for name, one in new.items()}
            writer.add(kind, packed)
            held[kind].update(new)
            made[kind] += len(new)

    if CAPTIONS in plan.kinds:
        for name in plan.streams:
            _write_captions(engine, params, plan, name, held[CAPTIONS], add)
    others = tuple(kind for kind in plan.kinds if kind != CAPTIONS)
    store.forget()
    for name in plan.streams if others else ():
        _write_fields(engine, params, plan, name, folder, others, held, add)
    store.forget()
    return made


def derived(
    bundle: bundle_lib.Bundle,
    params: Params,
    batch: Mapping[str, Any],
    shared: Mapping[str, Any],
    *,
    kind: str,
) -> dict[str, jax.Array]:
    """Program: fields [B, ...] of a kind, as the training step's view computes them."""
    del shared
    streams = rng.Streams(0, 0)
    seen = view_lib.View(bundle, params, batch, rngs=streams, step=0, train=False)
    if kind == "targets":
        return {"t5_states": seen.mt5_states}
    if kind == "latents":
        return {"latents": seen.latents}
    return {
        f"{prefix}_states": seen.states(side, prefix)
        for prefix, side in fields.sides(batch).items()
    }


Add = Callable[[str, Mapping[bytes, Mapping[str, np.ndarray]]], None]


def _write_captions(
    engine: Engine, params: Params, plan: Plan, name: str, held: set[bytes], add: Add
) -> None:
    heard = wishes.Heard()
    stream, _ = pipeline.opened(name, plan.streams[name], engine.processor, heard)
    if getattr(stream, wishes.FIELD, None) is not heard:
        return  # its rows ask for none
    for window in plan.windows(name):
        began = time.perf_counter()
        heard.wishes.clear()
        for index in window:
            stream(index)
        asked = {wish.name(engine.processor): wish for wish in heard.wishes}
        new = {key: wish for key, wish in asked.items() if key not in held}
        found = _captions(engine, params, list(new.values()))
        add(
            CAPTIONS,
            {
                key: {
                    "text": records.letters(caption.text),
                    "note": records.letters(caption.note),
                    "wish": records.letters(wish.text),
                }
                for (key, wish), caption in zip(new.items(), found, strict=True)
            },
        )
        _say(plan, name, window, CAPTIONS, len(new), began)


def _captions(
    engine: Engine, params: Params, asked: Sequence[wishes.Wish]
) -> list[Caption]:
    drawn = [i for i, wish in enumerate(asked) if wish.picture is None]
    edited = [i for i, wish in enumerate(asked) if wish.picture is not None]
    found: dict[int, Caption] = {}
    if drawn:
        texts = [asked[i].text for i in drawn]
        made = captions.rewritten(engine, params, texts, continuous.answers)
        found |= dict(zip(drawn, made, strict=True))
    if edited:
        pictures = inputs.pictures([asked[i].picture for i in edited], engine.processor)
        texts = [asked[i].text for i in edited]
        made = captions.of_edits(engine, params, pictures, texts, continuous.answers)
        found |= dict(zip(edited, made, strict=True))
    return [found[i] for i in range(len(asked))]


def _write_fields(
    engine: Engine,
    params: Params,
    plan: Plan,
    name: str,
    folder: Path,
    kinds: Sequence[str],
    held: Mapping[str, set[bytes]],
    add: Add,
) -> None:
    answers = reading.Settings(str(folder), ",".join(plan.kinds)).captions(
        engine.processor
    )
    stream, _ = pipeline.opened(name, plan.streams[name], engine.processor, answers)
    for window in plan.windows(name):
        rows = [stream(index) for index in window]
        for kind in kinds:
            began = time.perf_counter()
            new = _fields(engine, params, kind, rows, held[kind])
            add(kind, {key: {"array": array} for key, array in new.items()})
            _say(plan, name, window, kind, len(new), began)


def _fields(
    engine: Engine,
    params: Params,
    kind: str,
    rows: Sequence[Mapping[str, Any]],
    held: set[bytes],
) -> dict[bytes, np.ndarray]:
    """Name -> array of what is missing of a kind; equal rows are computed once."""
    lacking: dict[bytes, tuple[int, str]] = {}
    for i, row in enumerate(rows):
        for field, key in fields.wanted(kind, row).items():
            if key not in held:
                lacking.setdefault(key, (i, field))
    read = {i: fields.reads(kind, rows[i]) for i, _ in lacking.values()}
    groups: dict[Any, list[int]] = {}  # pictures may be of several sizes
    for i in sorted(read):
        groups.setdefault(str(jax.tree.map(np.shape, read[i])), []).append(i)
    made: dict[int, dict[str, np.ndarray]] = {}
    for numbers in groups.values():
        for chunk in batching.chunks(numbers, engine.limits.rows, engine.parts):
            batch = batching.stack([read[i] for i in chunk.indices])
            out = engine.run(derived, params, batch, {}, kind=kind)
            out = {field: np.asarray(array) for field, array in out.items()}
            for place, i in enumerate(chunk.real):
                made[i] = {field: array[place] for field, array in out.items()}
    return {
        key: fields.stored(field, rows[i], made[i][field])
        for key, (i, field) in lacking.items()
    }


def _say(
    plan: Plan, name: str, window: range, kind: str, new: int, began: float
) -> None:
    seconds = time.perf_counter() - began
    log.say(
        f"{name}: rows {window.stop} of {plan.rows[name]}, {new} new {kind},"
        f" {len(window) / seconds:.1f} rows/s"
    )


def check(plan: Plan, processor: processor_lib.Processor) -> None:
    """Raises BridgeError for counts or streams that cannot be."""
    none = [name for name, count in plan.rows.items() if count < 1]
    if none:
        raise BridgeError(f"no rows of {', '.join(none)} are to be made; give --rows")
    for name, given in plan.streams.items():
        pipeline.opened(name, given, processor)
