"""Paths of this machine, and of others by a scheme, such as gs://bucket/a.tar.

Those with a scheme go through fsspec and the package that it names for the scheme
(gcsfs, s3fs, ...). Whatever such a package raises becomes a BridgeError.
"""

import contextlib
import glob
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from bridge_jax.core.errors import BridgeError

_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*)://")


def is_elsewhere(path: str) -> bool:
    """Whether the path has a scheme, and none of this machine's."""
    return bool(_SCHEME.match(path))


def below(folder: str, name: str) -> str:
    """The path of what is called `name` in a folder."""
    return f"{folder.rstrip('/')}/{name}" if folder else name


def shown(name: str) -> str:
    """A name as it can be printed: one that is no Unicode has its bytes spelt out."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def is_file(path: str) -> bool:
    if is_elsewhere(path):
        with told(path):
            files, inner = files_of(path)
            return files.isfile(inner)
    return Path(path).is_file()


def is_folder(path: str) -> bool:
    if is_elsewhere(path):
        with told(path):
            files, inner = files_of(path)
            return files.isdir(inner)
    return Path(path).is_dir()


def stamp(path: str) -> tuple[int, str]:
    """Size in bytes, and what is another text as soon as the file is another."""
    if is_elsewhere(path):
        with told(path):
            files, inner = files_of(path)
            return int(files.size(inner)), str(files.ukey(inner))
    with told(path):
        found = os.stat(path)
        return found.st_size, f"{found.st_size}:{found.st_mtime_ns}"


def names(folder: str) -> list[str]:
    """Names of the files and folders in a folder, sorted; hidden ones left out."""
    with told(folder):
        if is_elsewhere(folder):
            files, inner = files_of(folder)
            found = [
                one.rstrip("/").rsplit("/", 1)[-1] for one in files.ls(inner, False)
            ]
        else:
            found = os.listdir(folder)
    return sorted(name for name in found if not name.startswith("."))


def walk(folder: str) -> Iterator[str]:
    """Names below a folder, such as "a/b.jpg", of all files, hidden ones left out."""
    with told(folder):
        if is_elsewhere(folder):
            files, inner = files_of(folder)
            start = len(files._strip_protocol(inner).rstrip("/")) + 1
            found = (one[start:] for one in files.find(inner))
        else:
            found = (
                str(Path(home, name).relative_to(folder).as_posix())
                for home, _, names in os.walk(folder)
                for name in names
            )
        for name in found:
            if not any(part.startswith(".") for part in name.split("/")):
                yield name


def matching(pattern: str) -> list[str]:
    """Paths that a pattern with *, ? or [...] stands for, sorted."""
    if not is_elsewhere(pattern):
        return sorted(glob.glob(pattern, recursive=True))
    with told(pattern):
        files, inner = files_of(pattern)
        return sorted(files.unstrip_protocol(one) for one in files.glob(inner))


def opened(path: str) -> BinaryIO:
    """The file, to be read; a `with` closes it."""
    with told(path):
        if is_elsewhere(path):
            files, inner = files_of(path)
            return files.open(inner, "rb")
        return open(path, "rb")


def files_of(path: str) -> tuple[Any, str]:
    """The fsspec file system of a path with a scheme, and its name of the path.

    Raises:
      BridgeError: nobody knows the scheme, or its package is missing.
    """
    import fsspec  # takes a while, and few need it

    scheme = _SCHEME.match(path)[1]
    try:
        return fsspec.core.url_to_fs(path)
    except ImportError as error:
        extra = "'bridge_jax[gcs]'" if scheme in ("gs", "gcs") else _package(error)
        raise BridgeError(
            f"{path}: {scheme}:// needs a package that is not here: pip install {extra}"
        ) from None
    except ValueError as error:
        raise BridgeError(f"{path}: {error}") from None


@contextlib.contextmanager
def told(path: str) -> Iterator[None]:
    """Within, a file is read; what goes wrong becomes a BridgeError that names it."""
    try:
        yield
    except BridgeError:
        raise
    except FileNotFoundError:
        raise BridgeError(f"{path}: no such file") from None
    except OSError as error:
        raise BridgeError(f"cannot read {path}: {error.strerror or error}") from None
    except Exception as error:
        if not is_elsewhere(path):
            raise
        # Each package has a tree of errors of its own.
        kind = type(error).__name__
        raise BridgeError(f"cannot read {path}: {kind}: {error}") from error


def _package(error: ImportError) -> str:
    """fsspec says "Install s3fs to access S3"; without that, what was not found."""
    named = re.search(r"[Ii]nstall (?:the )?([\w-]+)", str(error))
    return named[1] if named else str(error.name or error)
