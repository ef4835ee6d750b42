"""Behaviour chosen by naming a file: the name in the config is the name of the file."""

import importlib
import importlib.util
from pathlib import Path
from typing import Any

from bridge_jax.core.config import suggest
from bridge_jax.core.errors import BridgeError


def load(room: str, name: str, attribute: str, where: str) -> Any:
    """`attribute` of the file `name` in the package `room`.

    Args:
      room: a package, such as "bridge_jax.objectives".
      name: a file in it without ".py"; with a dot, any module by its full name.
      attribute: what the file defines, such as "Objective".
      where: place in the config, for messages.

    Raises:
      BridgeError: no such module (with the files there are), or one without
        `attribute`.
    """
    module = name if "." in name else f"{room}.{name}"
    if not _exists(module):
        known = names(room, attribute)
        raise BridgeError(
            f"{where}: there is no module {module}{suggest(name, known)}; the files"
            f" are {', '.join(known)}"
        )
    found = importlib.import_module(module)
    if not hasattr(found, attribute):
        raise BridgeError(f"{where}: {module} defines no {attribute}")
    return getattr(found, attribute)


def names(room: str, attribute: str) -> list[str]:
    """The files in `room` that define a class `attribute`, sorted."""
    folder = Path(importlib.import_module(room).__path__[0])
    start = f"\nclass {attribute}"
    return sorted(p.stem for p in folder.glob("*.py") if start in p.read_text())


def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError as error:
        if error.name and f"{module}.".startswith(f"{error.name}."):
            return False  # a package above it is missing
        raise
