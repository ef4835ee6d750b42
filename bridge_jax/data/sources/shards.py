"""The files that one line stands for.

    a.tar,b.tar                    a list
    data-{00000..00010}.tar        numbers with their zeros
    {train,extra}.parquet          names
    data-*.tar, **/*.tar           whatever is there
    folder                         all files of its one kind (see `kinds.in_folder`)
    dataset_coco.json[test]        [SPLIT] of a format that has splits, at the end

A file that is really called so is that file.
"""

import glob
import itertools
import re

from bridge_jax.core.errors import BridgeError
from bridge_jax.data.sources import places

_SPLIT = re.compile(r"(.+?)\[((?:[^][]|\[[^][]*\])+)\]", re.DOTALL)
_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")
_COMMA = re.compile(r",(?![^{}]*\})")
_MOST = 1_000_000


def split_of(path: str) -> tuple[str, str]:
    """("a.json", "test") of "a.json[test]"; the split is empty if there is none."""
    found = _SPLIT.fullmatch(path)
    if not found or (not places.is_elsewhere(path) and places.is_file(path)):
        return path, ""
    return found[1], found[2]


def home(path: str) -> str:
    """The folder that the first of the files is in; of a folder, itself.

    "" for the one that the process is in, as of names that are of no file.
    """
    path, _ = split_of(path)
    if path.startswith("tfds:"):
        return ""
    if not is_list(path):
        return path if places.is_folder(path) else path.rpartition("/")[0]
    first = _COMMA.split(path)[0]
    return re.split(r"[*?\[{]", first)[0].rpartition("/")[0]


def is_list(path: str) -> bool:
    """Whether it stands for several files; a split is taken off already."""
    if "," not in path and not _BRACES.search(path) and not glob.has_magic(path):
        return False
    return places.is_elsewhere(path) or not places.is_file(path)


def named(path: str) -> list[str]:
    """Every file or folder that a list stands for, once, sorted.

    Raises:
      BridgeError: all those that are not there.
    """
    found, missing = set(), []
    for part in _COMMA.split(path):
        for one in _unbraced(part.strip()):
            if glob.has_magic(one):
                there = places.matching(one)
                found.update(there)
                missing += [] if there else [one]
            elif places.is_file(one) or places.is_folder(one):
                found.add(one)
            else:
                missing.append(one)
    if missing:
        more = f" and {len(missing) - 12} more" if len(missing) > 12 else ""
        raise BridgeError(f"there is no {', '.join(missing[:12])}{more}")
    return sorted(found)


def _unbraced(part: str) -> list[str]:
    """ "a{1..3}" -> a1, a2, a3; several braces are all of their combinations."""
    pieces = _BRACES.split(part)  # what is in braces has odd places
    choices = [
        _choices(piece, part) if place % 2 else [piece]
        for place, piece in enumerate(pieces)
    ]
    count = 1
    for one in choices:
        count *= len(one)
    if count > _MOST:
        raise BridgeError(f"{part}: stands for {count} files")
    return ["".join(one) for one in itertools.product(*choices)]


def _choices(inner: str, part: str) -> list[str]:
    numbers = _RANGE.fullmatch(inner)
    if not numbers:
        return inner.split(",")
    first, last = int(numbers[1]), int(numbers[2])
    if not 0 <= last - first < _MOST:
        raise BridgeError(f"{part}: {{{inner}}} is no range that goes up")
    width = len(numbers[1]) if numbers[1].startswith("0") else 0
    return [str(number).zfill(width) for number in range(first, last + 1)]
