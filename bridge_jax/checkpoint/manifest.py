"""What a checkpoint's files held when it was written: the size and hash of each.

Orbax restores most single flipped bits without a word. Here every process hashes the
files it wrote itself, before the checkpoint counts; the first process adds what it
merged from them and writes MANIFEST as the last file of all. Reading checks it.

Files of other processes are never read while saving. A hash is XXH3-128, of a file's
blocks of 64 MiB one by one and, if there are several, of their hashes in order. It
finds what disks and copies do to files; it is no signature, and SHA-256 would take
longer than the save.
"""

import json
import os
from collections.abc import Iterable, Sequence
from concurrent import futures
from pathlib import Path

import xxhash

MANIFEST = "manifest.json"
_OWN = "hashes.process_{}.json"
# Orbax touches these after the manifest is written; no array rests on them.
_LATER = ("commit_success.txt", "_CHECKPOINT_METADATA")

_BLOCK = 2**26  # bytes
_READ = 2**20  # bytes at once: what a core's cache holds

Entry = tuple[int, str]  # bytes, hash


def entries(files: Sequence[Path]) -> dict[Path, Entry]:
    """Size and hash of each file; blocks are read side by side on all cores.

    Raises:
      OSError: one cannot be read.
    """
    sizes = {file: file.stat().st_size for file in files}
    blocks = [
        (file, at)
        for file, size in sizes.items()
        for at in range(0, size or 1, _BLOCK)  # an empty file has one empty block
    ]
    with futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        hashes: dict[Path, list[bytes]] = {file: [] for file in files}
        for (file, _), found in zip(blocks, pool.map(block_hash, blocks), strict=True):
            hashes[file].append(found)
    return {
        file: (sizes[file], (found[0] if len(found) == 1 else _joined(found)).hex())
        for file, found in hashes.items()
    }


def block_hash(block: tuple[Path, int]) -> bytes:
    """Hash of the block of a file that starts at a byte; 16 bytes."""
    file, at = block
    found, buffer = xxhash.xxh3_128(), bytearray(_READ)
    with file.open("rb", buffering=0) as stream:
        stream.seek(at)
        left = _BLOCK
        while left and (count := stream.readinto(buffer)):
            count = min(count, left)
            found.update(memoryview(buffer)[:count])
            left -= count
    return found.digest()


def _joined(hashes: Sequence[bytes]) -> bytes:
    return xxhash.xxh3_128(b"".join(hashes)).digest()


def write_own(item: Path, process: int) -> None:
    """Hash what process number `process` has written below an item's folder."""
    mine = [item / f"ocdbt.process_{process}", item / "array_metadatas"]
    files = [file for file in _files(mine[0])]
    files += [file for file in _files(mine[1]) if file.name == f"process_{process}"]
    found = {str(file.relative_to(item)): one for file, one in entries(files).items()}
    (item / _OWN.format(process)).write_text(_text(found))


def complete(step: Path) -> None:
    """Join the processes' hashes, add those of all other files, write MANIFEST."""
    found: dict[str, Entry] = {}
    for own in sorted(step.glob("*/" + _OWN.format("*"))):
        item = own.parent.relative_to(step)
        for name, one in json.loads(own.read_text()).items():
            found[str(item / name)] = tuple(one)
        own.unlink()  # its content stands in MANIFEST now
    others = [
        file
        for file in _files(step)
        if str(file.relative_to(step)) not in found and file.name not in _LATER
    ]
    found |= {str(file.relative_to(step)): one for file, one in entries(others).items()}
    (step / MANIFEST).write_text(_text(found))


def problems(step: Path, share: int = 0, shares: int = 1) -> list[str]:
    """What is wrong with the files of a step, one clause each; empty if nothing is.

    Args:
      share, shares: check every `shares`-th file only, starting at number `share`, so
        that the processes of a run divide the reading.
    """
    try:
        listed = _read(step / MANIFEST)
    except FileNotFoundError:
        return [f"it has no {MANIFEST}"]
    except (OSError, ValueError, TypeError) as error:
        return [f"its {MANIFEST} is damaged ({type(error).__name__})"]
    return [
        f"{name} {fault}"
        for name, wanted in sorted(listed.items())[share::shares]
        if (fault := _fault(step / name, wanted))
    ]


def _fault(file: Path, wanted: Entry) -> str:
    try:
        size = file.stat().st_size
        if size != wanted[0]:
            return f"has {size} bytes instead of {wanted[0]}"
        same = entries([file])[file] == wanted
        return "" if same else "holds other bytes than were written"
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read ({error.strerror})"


def _read(file: Path) -> dict[str, Entry]:
    """Raises ValueError or TypeError for what `_text` does not write."""
    listed = json.loads(file.read_bytes().decode())
    if not isinstance(listed, dict) or not listed:
        raise ValueError
    return {name: (int(size), str(digest)) for name, (size, digest) in listed.items()}


def _text(found: dict[str, Entry]) -> str:
    return json.dumps(dict(sorted(found.items())), indent=0) + "\n"


def _files(folder: Path) -> Iterable[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())
