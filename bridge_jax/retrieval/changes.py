"""What changes an index on disk, as a whole or not at all; see `folder.py`."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from bridge_jax.core.errors import BridgeError
from bridge_jax.retrieval import folder as folder_lib
from bridge_jax.retrieval import growth, reading
from bridge_jax.retrieval import segment as segment_lib
from bridge_jax.retrieval.segment import Segment

_SHOWN = 5


def replace(
    folder: Path,
    blocks: Iterable[np.ndarray],
    ids: Sequence[str],
    width: int,
    model: str,
) -> None:
    """Write an index, instead of one that is there.

    Args:
      blocks: float32 [n, width] each, one after another.
      ids: of all of them.

    Raises:
      BridgeError: `folder` holds something that is not an index; ids given twice.
    """
    check_ids(ids)
    folder_lib.check_free(folder)
    with folder_lib.writing(folder) as home:
        manifest = folder_lib.Manifest(model, width, (), folder_lib.unused(home))
        _write_one(folder, home, manifest, blocks, ids)


def add(
    folder: Path, blocks: Iterable[np.ndarray], ids: Sequence[str], model: str
) -> None:
    """Add vectors of new ids.

    Args:
      blocks: float32 [n, E] each, one after another.
      ids: of all of them.
      model: that made them.

    Raises:
      BridgeError: ids that are there already (named) or given twice; another model.
    """
    check_ids(ids)
    with folder_lib.writing(folder) as home:
        manifest, segments = reading.read(folder, model)
        there = found(segments, set(ids))
        if there:
            raise BridgeError(f"{folder} has {_listed(there)} already")
        taken = growth.joined([one.count for one in segments], len(ids))
        cut = len(segments) - taken
        kept, merged = segments[:cut], segments[cut:]
        _write_one(
            folder,
            home,
            manifest.of(one.entry for one in kept),
            itertools.chain(vectors(merged), blocks),
            [*ids_of(merged), *ids],
        )


def remove(folder: Path, ids: Iterable[str]) -> None:
    """Remove vectors by their ids.

    They go from the disk when a quarter of all are removed.

    Raises:
      BridgeError: ids that are not there, named; nothing is removed then.
    """
    wanted = set(ids)
    with folder_lib.writing(folder) as home:
        manifest, segments = reading.read(folder)
        there = found(segments, wanted)
        if len(there) < len(wanted):
            raise BridgeError(f"{folder} has no {_listed(wanted - there.keys())}")
        gone: dict[int, list[int]] = {}
        for number, row in itertools.chain(*there.values()):
            gone.setdefault(number, []).append(row)
        marked = [one.without(gone.get(i, [])) for i, one in enumerate(segments)]
        if growth.is_worn(sum(map(len, marked)), sum(one.count for one in marked)):
            _compact(folder, home, manifest, marked)
            return
        name, manifest = manifest.named(folder_lib.REMOVED)
        entries = [
            segment_lib.write_removed(home, one, name) if i in gone else one.entry
            for i, one in enumerate(marked)
        ]
        folder_lib.commit(folder, home, manifest.of(entries))


def compact(folder: Path) -> None:
    """Write the index anew as one segment, without what was removed."""
    with folder_lib.writing(folder) as home:
        _compact(folder, home, *reading.read(folder))


def check_ids(ids: Sequence[str]) -> None:
    """Raises BridgeError for ids that are given twice, naming them."""
    if len(set(ids)) < len(ids):
        seen: set[str] = set()
        twice = {one for one in ids if one in seen or seen.add(one)}
        raise BridgeError(f"ids are given twice: {_listed(twice)}")


def found(
    segments: Sequence[Segment], wanted: set[str]
) -> dict[str, list[tuple[int, int]]]:
    """Of the ids that are there: (segment, row) of each vector that has it."""
    there: dict[str, list[tuple[int, int]]] = {}
    for number, one in enumerate(segments):
        for row in one.rows().tolist():
            if (name := one.ids[row]) in wanted:
                there.setdefault(name, []).append((number, row))
    return there


def vectors(segments: Iterable[Segment]) -> Iterator[np.ndarray]:
    """Those that are not removed, float32 [n, E] at a time."""
    return itertools.chain.from_iterable(one.blocks() for one in segments)


def ids_of(segments: Iterable[Segment]) -> Iterator[str]:
    """The ids of `vectors`."""
    return (one.ids[row] for one in segments for row in one.rows().tolist())


def _compact(
    folder: Path,
    home: Path,
    manifest: folder_lib.Manifest,
    segments: Sequence[Segment],
) -> None:
    whole = manifest.of(())
    if any(one.count for one in segments):
        ids = list(ids_of(segments))
        _write_one(folder, home, whole, vectors(segments), ids)
    else:
        folder_lib.commit(folder, home, whole)


def _write_one(
    folder: Path,
    home: Path,
    manifest: folder_lib.Manifest,
    blocks: Iterable[np.ndarray],
    ids: Sequence[str],
) -> None:
    """Commit the segments of `manifest` and a new one behind them."""
    name, manifest = manifest.named(folder_lib.SEGMENT)
    entry = segment_lib.write(home, name, manifest.width, blocks, ids)
    folder_lib.commit(folder, home, manifest.of((*manifest.segments, entry)))


def _listed(ids: Iterable[str]) -> str:
    some = sorted(ids)
    more = f" and {len(some) - _SHOWN} more" if len(some) > _SHOWN else ""
    return ", ".join(some[:_SHOWN]) + more
