"""ArrayRecord, as Grain reads it: each record is one of three things by its first byte.

    {                       a JSON object
    a map of MessagePack    its texts are texts, its bytes (pictures) bytes
    a tf.train.Example      a feature of one value is that value, others are lists;
                            bytes that are UTF-8 become texts. A dataset of TFDS is
                            better read by its folder, which knows the features

Write with `ArrayRecordWriter(path, "group_size:1")`: larger groups save little room,
and all of a group is unpacked for one record. Chunks have check sums, so a flipped bit
is told by the record it hits. One reader a process and file, the last 64 of them,
shared by its threads; its index (about eight bytes a record) is all that is in memory.

The package reads files of this machine alone: copy others, or mount their bucket.
"""

from typing import Any

from bridge_jax.core.errors import BridgeError
from bridge_jax.data.sources import bytes_of, examples, extras, places
from bridge_jax.data.sources.recent import Recent

_READERS = Recent(64)
_AT_RANDOM = "readahead_buffer_size:0,max_parallelism:0"


class Source:
    """See the module's text.

    Raises:
      BridgeError: no ArrayRecord, one that is cut short or elsewhere; array_record is
        missing.
    """

    def __init__(self, path: str):
        if places.is_elsewhere(path):
            raise BridgeError(
                f"{path}: ArrayRecord is read from this machine alone: copy it here"
                " first, or mount its bucket (gcsfuse)"
            )
        self._path, (_, self._stamp) = path, places.stamp(path)
        self._count = self._reader().num_records()

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> tuple[str, dict[str, Any]]:
        index = range(self._count)[index]
        where = f"{self._path}: record {index}"
        with extras.told(where):
            [record] = self._reader().read([index])
        return where, _parsed(record, where)

    def _reader(self) -> Any:
        return _READERS.get((self._path, self._stamp), self._opened)

    def _opened(self) -> Any:
        name = "array_record.python.array_record_module"
        module = extras.load(name, self._path)
        if places.stamp(self._path)[1] != self._stamp:
            raise BridgeError(f"{self._path} has changed since it was opened")
        with extras.told(self._path):
            reader = module.ArrayRecordReader(self._path, _AT_RANDOM)
            if not reader.ok():
                reader.read([0])  # says what is wrong
        return reader


def _parsed(record: bytes, where: str) -> dict[str, Any]:
    first = record[:1]
    if first == b"{":
        return bytes_of.parsed(record, where)
    if first == b"\n":
        return examples.parsed(record, where)
    if b"\x80" <= first <= b"\x8f" or first in (b"\xde", b"\xdf"):
        return _unpacked(record, where)
    raise BridgeError(
        f"{where}: is neither a JSON object nor a map of MessagePack nor a"
        " tf.train.Example"
    )


def _unpacked(record: bytes, where: str) -> dict[str, Any]:
    msgpack = extras.load("msgpack", where)
    with extras.told(where):
        found = msgpack.unpackb(record)
    if not all(isinstance(name, str) for name in found):
        raise BridgeError(f"{where}: has fields whose names are no texts")
    return found
