"""Parquet, as Hugging Face's datasets are: a row a record, nested as it is.

Lists, structs and maps become lists, dicts and pairs; Hugging Face's pictures, structs
{bytes, path}, become the bytes, or the path where there are none.

A row group is the least that can be read: its table is read at the first of its rows
that is asked for, and the last eight are kept. In shuffled order almost every record
costs a row group, so write small ones: `row_group_size=100` for pictures, as Hugging
Face does. Memory: eight bytes a row group, beside those tables and the last 64 footers.
Check sums of pages are compared where the writer made them (pyarrow does with
`write_page_checksum=True`).
"""

import threading
from typing import Any

import numpy as np

from bridge_jax.core.errors import BridgeError
from bridge_jax.data.sources import extras, places
from bridge_jax.data.sources.recent import Recent

_FILES, _GROUPS = Recent(64), Recent(8)
_PICTURE = {"bytes", "path"}


class Source:
    """See the module's text.

    Raises:
      BridgeError: no Parquet, a damaged footer, two columns of one name; pyarrow is
        missing.
    """

    def __init__(self, path: str):
        self._path, (_, self._stamp) = path, places.stamp(path)
        file, _ = self._file()
        names = file.schema_arrow.names
        if len(set(names)) < len(names):
            raise BridgeError(f"{path}: two columns have one name")
        with extras.told(path):
            groups = [
                file.metadata.row_group(i).num_rows
                for i in range(file.metadata.num_row_groups)
            ]
        self._ends = np.cumsum(np.asarray(groups, np.int64))

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getitem__(self, index: int) -> tuple[str, dict[str, Any]]:
        index = range(len(self))[index]
        where = f"{self._path}: record {index}"
        group = int(np.searchsorted(self._ends, index, side="right"))
        start = int(self._ends[group - 1]) if group else 0
        with extras.told(where):
            table = _GROUPS.get(
                (self._path, self._stamp, group), lambda: self._table(group)
            )
            [row] = table.slice(index - start, 1).to_pylist()
        return where, _plain(row)

    def _file(self) -> tuple[Any, threading.Lock]:
        """The file, and what a thread must hold to read it."""
        return _FILES.get((self._path, self._stamp), self._opened)

    def _opened(self) -> tuple[Any, threading.Lock]:
        parquet = extras.load("pyarrow.parquet", self._path)
        if places.stamp(self._path)[1] != self._stamp:
            raise BridgeError(f"{self._path} has changed since it was opened")
        away = places.is_elsewhere(self._path)
        with extras.told(self._path):
            file = parquet.ParquetFile(
                places.opened(self._path) if away else self._path,
                page_checksum_verification=True,
                memory_map=not away,
            )
        return file, threading.Lock()

    def _table(self, group: int) -> Any:
        file, lock = self._file()
        with lock:
            return file.read_row_group(group)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == _PICTURE:
            return value["path"] if value["bytes"] is None else value["bytes"]
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value
