"""From records to an index, in batches; a run that was killed is gone on with.

Batches are of fixed records, and each is kept as soon as it is embedded, so that an
index does not tell how often its making was interrupted: its vectors are the same bits.
"""

import collections
import concurrent.futures
import contextlib
import dataclasses
import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from bridge_jax.core import log
from bridge_jax.core.errors import BridgeError
from bridge_jax.data import images
from bridge_jax.retrieval import changes, reading
from bridge_jax.retrieval import folder as folder_lib
from bridge_jax.retrieval.journal import Journal
from bridge_jax.retrieval.records import Entry, Records

_SHOWN = 5  # unreadable records named in one message
_AT_ONCE, _THREADS = 1024, 8


class Embeds(Protocol):
    """What is needed of a model."""

    fingerprint: str

    def embed(self, images: Any = None, texts: Any = None) -> np.ndarray: ...


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How many of each were embedded, passed over, and how many the index holds now."""

    pictures: int
    texts: int
    there: int
    unreadable: int
    total: int


def fill(
    model: Embeds,
    records: Records,
    out: Path,
    *,
    batch: int = 32,
    add: bool = False,
    skip: bool = False,
) -> Outcome:
    """Embed all records and write the index, or add to one.

    All are read before the first is embedded, so that all that cannot be is told at
    once, and not near the end.

    Args:
      batch: records at once.
      add: what the index holds already is kept, and not embedded again.
      skip: pass over what cannot be read, naming it.

    Raises:
      BridgeError: no records; what cannot be read, told together; an index of another
        model.
    """
    home = out.with_name(out.name + ".unfinished")
    there, version = set(), ""
    if add and (out / folder_lib.MANIFEST).is_file():
        manifest, segments = reading.read(out, model.fingerprint)
        there, version = set(changes.ids_of(segments)), str(manifest.next)
    plan = "\0".join((records.stamp, model.fingerprint, str(batch), version, str(skip)))
    with folder_lib.locked(home, out):
        journal = Journal(home, hashlib.sha256(plan.encode()).hexdigest())
        try:
            _embed_all(model, records, journal, there, batch, skip)
            ids = journal.ids()
            if version and ids:
                changes.add(out, journal.blocks(), ids, model.fingerprint)
            elif ids:
                parts = (journal.blocks(), ids, journal.width, model.fingerprint)
                changes.replace(out, *parts)
            elif not version:
                raise BridgeError("there is nothing to embed")
        except BridgeError:
            if not journal.rows:  # nothing that would be missed
                shutil.rmtree(home, ignore_errors=True)
            raise
        shutil.rmtree(home)
    counts = collections.Counter(journal.counts)
    return Outcome(
        counts["images"],
        counts["texts"],
        counts["there"],
        counts["unreadable"],
        len(there) + len(ids),
    )


def _embed_all(
    model: Embeds,
    records: Records,
    journal: Journal,
    there: set[str],
    batch: int,
    skip: bool,
) -> None:
    """Bring the journal to its end."""
    if journal.bad is None:
        journal.checked(_unreadable(records, there, skip))
    elif journal.done:
        log.say(f"going on after {journal.done:,} of {len(records):,} records")
    bad, seen = set(journal.bad), there | set(journal.ids())
    starts = range(journal.done, len(records), batch)
    for start in log.progress(starts, "embedding"):
        numbers = range(start, min(start + batch, len(records)))
        good = [number for number in numbers if number not in bad]
        entries = [entry for number in good for entry in records[number]]
        fresh = {entry.id: entry for entry in entries if entry.id not in seen}
        kept, vectors = _embedded(model, list(fresh.values()), skip)
        counts = collections.Counter(entry.kind for entry in kept)
        counts["there"] = len(entries) - len(fresh)
        counts["unreadable"] = len(numbers) - len(good) + len(fresh) - len(kept)
        journal.add(vectors, [entry.id for entry in kept], numbers.stop, counts)
        seen.update(fresh)


def _embedded(
    model: Embeds, entries: list[Entry], skip: bool
) -> tuple[list[Entry], np.ndarray]:
    """Those that could be embedded, pictures first, and their vectors [n, E]."""
    kept: list[Entry] = []
    made: list[np.ndarray] = []
    for kind in ("images", "texts"):
        some = [entry for entry in entries if entry.kind == kind]
        if not some:
            continue
        try:
            made.append(model.embed(**{kind: [entry.value for entry in some]}))
            kept += some
        except BridgeError as error:
            if not skip:
                first, last = some[0].id, some[-1].id
                raise BridgeError(
                    f"{error} (in {first} to {last}); or pass --skip-unreadable"
                ) from error
            for entry in some:
                with _told(entry):
                    made.append(model.embed(**{kind: [entry.value]}))
                    kept.append(entry)
    return kept, np.concatenate(made) if made else np.zeros((0, 0), np.float32)


@contextlib.contextmanager
def _told(entry: Entry) -> Iterator[None]:
    """Within, a mistake is told and passed over."""
    try:
        yield
    except BridgeError as error:
        print(f"skipped {entry.id}: {error}")


def _unreadable(records: Records, there: set[str], skip: bool) -> list[int]:
    """Numbers of the records that cannot be read, each told.

    Raises:
      BridgeError: what cannot be read, told together, unless `skip`; nothing can be.
    """
    problems: dict[int, str] = {}

    def problem(number: int) -> str:
        try:
            for entry in records[number]:
                if entry.kind == "images" and entry.id not in there:
                    images.open_image(entry.value)
        except BridgeError as error:
            return str(error)
        return ""

    starts = range(0, len(records), _AT_ONCE)
    with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
        for start in log.progress(starts, "checking"):
            numbers = range(start, min(start + _AT_ONCE, len(records)))
            told = zip(numbers, pool.map(problem, numbers), strict=True)
            problems |= {number: text for number, text in told if text}
    if problems and not (skip and len(problems) < len(records)):
        more = len(problems) - _SHOWN
        raise BridgeError(
            "; ".join(list(problems.values())[:_SHOWN])
            + (f"; and {more} more" if more > 0 else "")
            + ("" if skip else "; or pass --skip-unreadable")
        )
    for text in problems.values():
        print(f"skipped {text}")
    return list(problems)
