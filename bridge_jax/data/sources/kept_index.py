"""Where records begin, kept from one run to the next for files slow to walk.

Indexes lie in the folder of the environment variable BRIDGE_JAX_INDEX, by default
~/.cache/bridge_jax/index; empty, or a folder that cannot be written, and none are
kept. A file that has changed, in size or time, has another index; one that is damaged
is made anew. They may be deleted at any time.
"""

import contextlib
import os
import struct
import threading
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import xxhash

from bridge_jax.data.sources import places
from bridge_jax.data.sources.bytes_of import Bytes

VARIABLE = "BRIDGE_JAX_INDEX"
LEAST = 1 << 20  # bytes: smaller files are walked in no time
# All that a file may raise that is no whole npz; its parts have check sums.
_DAMAGE = (
    OSError,
    EOFError,
    KeyError,
    MemoryError,
    RuntimeError,
    ValueError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)

Arrays = Mapping[str, np.ndarray]


def arrays(file: Bytes, form: str, find: Callable[[], Arrays]) -> Arrays:
    """What `find` finds in a file, or found when it was this very file.

    Args:
      form: name and version of what is kept, such as "json_lines 1".
      find: what walks the file; arrays of numbers.
    """
    folder = _folder()
    if folder is None or file.size < LEAST:
        return find()
    where = file.path
    if not places.is_elsewhere(where):
        where = str(Path(where).absolute())
    key = "\0".join((form, where, str(file.size), file.stamp))
    path = folder / f"{xxhash.xxh3_128_hexdigest(key.encode(errors='replace'))}.npz"
    kept = _read(path)
    if kept is None:
        kept = find()
        _write(path, kept)
    return kept


def _folder() -> Path | None:
    named = os.environ.get(VARIABLE)
    if named is None:
        with contextlib.suppress(RuntimeError):  # nobody's home
            return Path.home() / ".cache" / "bridge_jax" / "index"
    return Path(named) if named else None


def _read(path: Path) -> Arrays | None:
    try:
        # Opened here, since np.load leaves one open that is damaged; and its sums are
        # compared first, since damaged headers raise whatever Python's parser does.
        with path.open("rb") as opened:
            with zipfile.ZipFile(opened) as parts:
                if parts.testzip() is not None:
                    return None
            opened.seek(0)
            with np.load(opened, allow_pickle=False) as file:
                return {name: file[name] for name in file.files}
    except _DAMAGE:  # or none there: it is made anew
        return None


def _write(path: Path, found: Arrays) -> None:
    partial = path.with_suffix(f".{os.getpid()}_{threading.get_ident()}.partial")
    with contextlib.suppress(OSError):  # then none is kept
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as file:
                np.savez(file, **found)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
