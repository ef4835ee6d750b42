"""Pieces of a file by their place in it, as JSON objects."""

import json
import mmap
from pathlib import Path
from typing import Any

from bridge_jax.core.errors import BridgeError


def opened(path: Path) -> mmap.mmap | bytes:
    """The file's bytes, none of them read yet; an empty file cannot be mapped."""
    with path.open("rb") as file:
        if not path.stat().st_size:
            return b""
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def parsed(piece: bytes, where: str) -> dict[str, Any]:
    """The object that these bytes spell. Raises BridgeError for anything else."""
    try:
        found = json.loads(piece.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise BridgeError(f"{where}: is no UTF-8 (byte {error.start})") from None
    except (ValueError, RecursionError) as error:
        raise BridgeError(f"{where}: is no JSON ({error})") from None
    if not isinstance(found, dict):
        raise BridgeError(f"{where}: is no JSON object")
    return found
