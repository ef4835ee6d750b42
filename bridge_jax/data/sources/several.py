"""Many files, or shards, as one: numbered through in the sorted order of their names.

Each is opened to know its length, eight at a time: a footer is read of Parquet and
ArrayRecord; of the rest the kept index (`kept_index.py`), or all of it the first time.
In memory are what each source keeps (its docstring says how much) and eight bytes a
file; few handles are open at once.
"""

import concurrent.futures
from typing import Any

import numpy as np

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import sources
from bridge_jax.data.faults import Faults
from bridge_jax.data.sources import kinds, places, shards

_AT_ONCE = 8


class Source:
    """The files that `path` stands for (see `shards.py`), of one kind.

    Raises:
      BridgeError: all files that are missing, or all that are damaged or empty.
    """

    def __init__(self, path: str, kind: str = ""):
        plain, split = shards.split_of(path)
        split = f"[{split}]" if split else ""
        self._sources = _opened([one + split for one in files(plain, kind)], kind)
        self._ends = np.cumsum([len(one) for one in self._sources])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, index: int) -> tuple[str, dict[str, Any]]:
        index = range(len(self))[index]
        shard = int(np.searchsorted(self._ends, index, side="right"))
        start = int(self._ends[shard - 1]) if shard else 0
        return self._sources[shard][index - start]


def files(path: str, kind: str = "") -> list[str]:
    """Those that a path without a split stands for: files, or datasets' folders.

    Raises:
      BridgeError: all that are missing.
    """
    found = []
    for one in shards.named(path) if shards.is_list(path) else [path]:
        if places.is_folder(one) and kinds.is_several(one, kind):
            found += kinds.in_folder(one, kind)
        else:
            found.append(one)
    return found


def _opened(files: list[str], kind: str) -> list[Any]:
    found, opened = Faults(), []
    with concurrent.futures.ThreadPoolExecutor(_AT_ONCE) as pool:
        waiting = [pool.submit(sources.open_source, one, kind) for one in files]
        for one in waiting:
            try:
                opened.append(one.result())
            except BridgeError as error:
                found.lines.append(str(error))
    found.stop()
    return opened
