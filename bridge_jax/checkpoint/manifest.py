"""What a checkpoint's files held when it was written: the size and hash of each.

Orbax restores most single flipped bits without a word. Here every process hashes the
files it wrote itself, before the checkpoint counts; the first process adds what it
merged from them and writes MANIFEST as the last file of all. Reading checks it.

A hash is SHA-256. Files of other processes are never read while saving.
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

MANIFEST = "manifest.json"
_OWN = "hashes.process_{}.json"
# Orbax touches these after the manifest is written; no array rests on them.
_LATER = ("commit_success.txt", "_CHECKPOINT_METADATA")

Entry = tuple[int, str]  # bytes, hash


def entry(file: Path) -> Entry:
    """Size and hash of one file."""
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return file.stat().st_size, digest


def write_own(item: Path, process: int) -> None:
    """Hash what process number `process` has written below an item's folder."""
    mine = [item / f"ocdbt.process_{process}", item / "array_metadatas"]
    files = [file for file in _files(mine[0])]
    files += [file for file in _files(mine[1]) if file.name == f"process_{process}"]
    found = {str(file.relative_to(item)): entry(file) for file in files}
    (item / _OWN.format(process)).write_text(_text(found))


def complete(step: Path) -> None:
    """Join the processes' hashes, add those of all other files, write MANIFEST."""
    found: dict[str, Entry] = {}
    for own in sorted(step.glob("*/" + _OWN.format("*"))):
        item = own.parent.relative_to(step)
        for name, one in json.loads(own.read_text()).items():
            found[str(item / name)] = tuple(one)
        own.unlink()  # its content stands in MANIFEST now
    for file in _files(step):
        name = str(file.relative_to(step))
        if name not in found and file.name not in _LATER:
            found[name] = entry(file)
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
        return "" if entry(file) == wanted else "holds other bytes than were written"
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
