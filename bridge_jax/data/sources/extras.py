"""Packages that only some formats need."""

import contextlib
import importlib
from collections.abc import Iterator
from typing import Any

from bridge_jax.core.errors import BridgeError


def load(module: str, path: str) -> Any:
    """A module of a package of the extra "data".

    Raises:
      BridgeError: it is not installed; `path` is what needs it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.split(".")[0]
        raise BridgeError(
            f"{path}: needs {package} ({error}): pip install 'bridge_jax[data]'"
        ) from None


@contextlib.contextmanager
def told(where: str) -> Iterator[None]:
    """Within, such a package reads; whatever it raises becomes a BridgeError.

    Args:
      where: file and record.
    """
    try:
        yield
    except BridgeError:
        raise
    except Exception as error:  # each package has errors of its own
        said = " ".join(str(error).split())[:300] or type(error).__name__
        raise BridgeError(f"{where}: cannot be read ({said})") from error
