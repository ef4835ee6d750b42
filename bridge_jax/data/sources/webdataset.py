"""Tar shards as webdataset has them: the files of a sample stand one after another.

    000/a.jpg  000/a.json  000/a.txt  000/b.jpg ...
    {"__key__": "000/a", "jpg": b"...", "width": 640, ..., "txt": "A cat."}

The key is the name with its folder up to the first dot of what follows the folder, and
the rest is the extension, in lower case. What is made of a file depends on what stands
after the last dot of that:

    json            parsed. An object whose extension is "json" alone is merged into the
                    record, where files of the sample come before fields of the same
                    name; any other stands under its extension
    txt text transcript caption     text
    cls cls2 index inx id           a whole number
    others                          bytes: pictures, npy, and pickles, too, which are
                                    never unpickled

Habits that are webdataset's, and so ours: files of one key that are apart are two
samples; names without a dot, or with one at the start, are passed over ("d/.b.txt" is
of a sample "d/"), and so are names like __index__ and all below a folder __name__; only
regular files count. Two files of one extension in a sample make it no record. Unlike
webdataset we merge json, leave "__url__" out, and want plain tars.

Nothing is unpacked: headers are walked once (see `tar_headers.py`) and what is found is
kept. A tar that is cut short serves its whole records, and it is told each time.
Memory: its key and 16 bytes a record, and 18 a file in it.
"""

import array
import json
import re
from typing import Any

import numpy as np

from bridge_jax.core import log
from bridge_jax.core.errors import BridgeError
from bridge_jax.data.sources import bytes_of, kept_index, packed, places, tar_headers

_NAME = re.compile(r"((?:.*/|)[^.]+)[.]([^/]*)", re.DOTALL)
_META = re.compile(r"__[^/]*__($|/)")
TEXTS = frozenset(("txt", "text", "transcript", "caption"))
NUMBERS = frozenset(("cls", "cls2", "index", "inx", "id"))
_PACKED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")
_MOST_EXTENSIONS = 1 << 16


class Source:
    """See the module's text.

    Raises:
      BridgeError: no tar, one that is compressed, or with a damaged header.
    """

    def __init__(self, path: str):
        self._bytes = bytes_of.opened(path)
        found = kept_index.arrays(self._bytes, "webdataset 1", self._found)
        self._starts, self._sizes = found["starts"], found["sizes"]
        self._kinds, self._firsts = found["kinds"], found["firsts"]
        self._keys = packed.Texts(found["keys"], found["key_ends"])
        self._extensions = json.loads(found["extensions"].tobytes())
        if len(found["told"]):
            log.say(found["told"].tobytes().decode("utf-8", "replace"))

    def _found(self) -> dict[str, np.ndarray]:
        shard = _Shard()
        with places.opened(self._bytes.path) as file, places.told(self._bytes.path):

            def read(start: int, end: int) -> bytes:
                file.seek(start)
                return file.read(end - start)

            where = self._bytes.path
            if read(0, 6).startswith(_PACKED):
                raise BridgeError(f"{where}: is compressed; records need a plain tar")
            for one in tar_headers.walk(read, self._bytes.size, where):
                if isinstance(one, tar_headers.Member):
                    shard.add(one)
                else:
                    shard.close(one, self._bytes.size, where)
        return shard.arrays()

    def __len__(self) -> int:
        return len(self._firsts) - 1

    def __getitem__(self, index: int) -> tuple[str, dict[str, Any]]:
        index = range(len(self))[index]
        key = self._keys[index]
        where = f"{self._bytes.path}: record {index} ({places.shown(key)})"
        first, end = (int(self._firsts[i]) for i in (index, index + 1))
        # One piece: from elsewhere it comes at once.
        start = int(self._starts[first])
        stop = int(self._starts[end - 1] + self._sizes[end - 1])
        piece = memoryview(self._bytes.piece_alone(start, stop))
        files: dict[str, Any] = {}
        fields: dict[str, Any] = {}
        for member in range(first, end):
            extension = self._extensions[self._kinds[member]]
            if extension in files:
                raise BridgeError(f"{where}: has two files .{extension}")
            at, size = int(self._starts[member]) - start, int(self._sizes[member])
            if at + size > len(piece):
                raise BridgeError(f"{where}: .{extension} is cut short")
            files[extension] = _value(
                extension, bytes(piece[at : at + size]), f"{where} .{extension}"
            )
        if isinstance(files.get("json"), dict):
            fields = files.pop("json")
        return where, {**fields, **files, "__key__": key}


class _Shard:
    """What is found of a tar, member by member."""

    def __init__(self):
        self.starts, self.sizes = array.array("q"), array.array("q")
        self.kinds, self.firsts = array.array("H"), array.array("q")
        self.keys: list[str] = []
        self.extensions: dict[str, int] = {}
        self.told: list[str] = []
        self.sparse = 0
        self.key = ""

    def add(self, member: tar_headers.Member) -> None:
        parts = _NAME.fullmatch(member.name)
        if not parts or _META.match(member.name):
            return
        if member.sparse:
            self.sparse += 1
            return
        key, extension = parts[1], parts[2].lower()
        if key != self.key or not self.firsts:
            self.firsts.append(len(self.starts))
            self.keys.append(key)
            self.key = key
        number = self.extensions.setdefault(extension, len(self.extensions))
        if number >= _MOST_EXTENSIONS:
            raise BridgeError(f"{member.name}: more extensions than files could have")
        self.starts.append(member.start)
        self.sizes.append(member.size)
        self.kinds.append(number)

    def close(self, end: tar_headers.End, size: int, where: str) -> None:
        """Of a tar that is cut short, the last record may be no whole one."""
        if self.sparse:
            self.told.append(f"{where}: {self.sparse} sparse files are left out")
        if end.more:
            self.told.append(
                f"{where}: its end is marked at byte {end.at}, and nothing that"
                " follows is read; were tars joined?"
            )
        if not end.cut:
            return
        dropped = ""
        if self.firsts and self._may_lack(end.name):
            first = self.firsts.pop()
            del self.starts[first:], self.sizes[first:], self.kinds[first:]
            dropped = f", of which the last, {self.keys.pop()!r}, is left out"
        whole = len(self.firsts) + bool(dropped)
        self.told.append(
            f"{where} is cut short: {end.cut}; of its {size} bytes the first {end.at}"
            f" are whole files, of {whole} records{dropped}"
        )

    def _may_lack(self, cut: str) -> bool:
        """Whether more files of the last record may have followed.

        Not if the file that is cut is another's; if it is not known whose it is, the
        record must have as many files as the one before it.
        """
        parts = _NAME.fullmatch(cut)
        if parts:
            return parts[1] == self.key
        counts = np.diff([*self.firsts[-2:], len(self.starts)])
        return len(counts) < 2 or counts[1] < counts[0]

    def arrays(self) -> dict[str, np.ndarray]:
        keys = packed.texts(self.keys)
        return {
            "starts": np.array(self.starts, np.int64),
            "sizes": np.array(self.sizes, np.int64),
            "kinds": np.array(self.kinds, np.uint16),
            "firsts": np.append(np.array(self.firsts, np.int64), len(self.starts)),
            "keys": keys.letters,
            "key_ends": keys.ends,
            "extensions": _bytes(json.dumps(list(self.extensions))),
            "told": _bytes("; ".join(self.told)),
        }


def _bytes(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-8", "replace"), np.uint8)


def _value(extension: str, data: bytes, where: str) -> Any:
    kind = extension.rsplit(".", 1)[-1]
    if kind == "json":
        return bytes_of.value(data, where)
    if kind in TEXTS:
        return bytes_of.text(data, where)
    if kind in NUMBERS:
        try:
            return int(bytes_of.text(data, where))
        except ValueError:
            raise BridgeError(f"{where}: is no whole number") from None
    return data
