"""Answers of shards on disk: added batch by batch, read back if each is there once.

Shard I of N writes `answers_I_of_N.jsonl`, a line an item: its position in the data, a
key of what the model was asked, and the answer. Whatever ends the process, the whole
lines stay; a line cut short is dropped when the shard is taken up again.
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from bridge_jax.core.errors import BridgeError
from bridge_jax.eval import batches
from bridge_jax.eval.outside.shards import Shard

_SHOWN = 8  # positions in one message


class Item(Protocol):
    """What a benchmark asks about.

    Attributes:
      key: `key_of` all that the model sees of it.
    """

    key: str


T = TypeVar("T", bound=Item)
Record = dict[str, Any]


def key_of(*seen: Any) -> str:
    """16 hex digits of what JSON can hold."""
    text = json.dumps(seen, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def name(shard: Shard, stem: str = "answers", suffix: str = "jsonl") -> str:
    """The file of a shard, such as answers_0_of_4.jsonl."""
    return f"{stem}_{shard.index}_of_{shard.count}.{suffix}"


def write(
    folder: Path,
    shard: Shard,
    items: Sequence[T],
    make: Callable[[list[T]], Sequence[Mapping[str, Any]]],
    most: int,
    what: str,
) -> None:
    """Add the answers to this shard's items that its file lacks.

    Args:
      items: of all shards.
      make: items -> as many records. A batch that is not full is filled up with its
        last item, whose further records are dropped.
      most: items a batch.
      what: names the progress bar.

    Raises:
      BridgeError: the file holds answers to other items.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name(shard)
    _drop_torn_line(path)
    done = {record["position"] for record in _read(path, items)}
    left = [(place, item) for place, item in shard.of(items) if place not in done]
    with path.open("a", encoding="utf-8") as file:
        for _, rows, real in batches.batches(left, most, what):
            made = make([item for _, item in rows])
            for (place, item), record in list(zip(rows, made, strict=True))[:real]:
                line = {"position": place, "key": item.key, **record}
                file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())


def read(folder: Path, items: Sequence[Item]) -> list[Record]:
    """The answer to each item, in order, out of the files of all shards.

    Raises:
      BridgeError: items that no shard answered, or that several did; answers to
        other items; damaged files.
    """
    files = sorted(Path(folder).glob("answers_*_of_*.jsonl"))
    found = {path: _read(path, items) for path in files}
    places = {path: [r["position"] for r in records] for path, records in found.items()}
    cover(Path(folder), places, len(items))
    by_place = {r["position"]: r for records in found.values() for r in records}
    return [by_place[place] for place in range(len(items))]


def cover(folder: Path, places: Mapping[Path, Sequence[int]], total: int) -> None:
    """Raises BridgeError unless positions 0 to `total` - 1 are each there once."""
    if not places:
        raise BridgeError(f"{folder} holds no answers to score: let a model answer")
    homes: dict[int, list[str]] = {}
    for path, positions in places.items():
        for place in positions:
            homes.setdefault(place, []).append(path.name)
    missing = [place for place in range(total) if place not in homes]
    doubled = [place for place in sorted(homes) if len(homes[place]) > 1]
    problems = []
    if missing:
        problems.append(
            f"no answer to {_some(missing)} of {total} items: run what is left of"
            f" {_shards_of(missing, places)}"
        )
    if doubled:
        files = sorted({file for place in doubled for file in homes[place]})
        problems.append(
            f"more than one answer to {_some(doubled)}: keep one of {', '.join(files)}"
        )
    if problems:
        raise BridgeError(f"{folder}: {'; '.join(problems)}")


def _shards_of(missing: Sequence[int], places: Mapping[Path, Sequence[int]]) -> str:
    """The shards that lack them, by the N that their files' names speak of."""
    counts = {int(path.stem.rpartition("_")[2]) for path in places}
    if len(counts) != 1:
        return f"shards of one N (there are files of N = {sorted(counts)})"
    (count,) = counts
    indices = sorted({place % count for place in missing})
    return f"shard {', '.join(f'{index}/{count}' for index in indices[:_SHOWN])}"


def _some(places: Sequence[int]) -> str:
    more = len(places) - _SHOWN
    shown = ", ".join(map(str, places[:_SHOWN]))
    return f"{len(places)} ({shown}{f' and {more} more' if more > 0 else ''})"


def _drop_torn_line(path: Path) -> None:
    if path.is_file():
        data = path.read_bytes()
        os.truncate(path, data.rfind(b"\n") + 1)


def _read(path: Path, items: Sequence[Item]) -> list[Record]:
    """Whole lines of a shard's file, each checked to answer the item at its place."""
    if not path.is_file():
        return []
    found = []
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], 1):
        try:
            record = json.loads(line)
            place, key = record["position"], record["key"]
        except (ValueError, KeyError, TypeError):
            raise BridgeError(
                f"{path}:{number}: is no answer; remove the file and answer again"
            ) from None
        if not (0 <= place < len(items) and items[place].key == key):
            raise BridgeError(
                f"{path}:{number}: answers another item {place} than the data has now:"
                " score with the data that was answered, or give a new directory"
            )
        found.append(record)
    return found
