"""A parameter tree as flax_model.msgpack + config.json, flax's own file format.

`flax.serialization.msgpack_restore` reads it; nothing in it is ever executed.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import msgpack
import numpy as np
from flax import serialization

from bridge_jax.checkpoint import weights_file
from bridge_jax.core import config as config_lib
from bridge_jax.core import trees
from bridge_jax.core.errors import BridgeError
from bridge_jax.core.types import Params

WEIGHTS = "flax_model.msgpack"
_DAMAGED = (
    msgpack.UnpackException,
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    RecursionError,
)


def save(folder: str | Path, params: Params, config: Mapping[str, Any]) -> None:
    """Write both files; an interrupted write changes nothing. All is in memory once."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    host = trees.map_paths(lambda _, leaf: np.asarray(jax.device_get(leaf)), params)
    staged = folder / (WEIGHTS + ".partial")
    staged.write_bytes(serialization.msgpack_serialize(host))
    text = folder / (weights_file.CONFIG + ".partial")
    text.write_text(config_lib.to_json(config) + "\n")
    os.replace(staged, folder / WEIGHTS)
    os.replace(text, folder / weights_file.CONFIG)


def load(folder: str | Path) -> Params:
    """The nested dict of numpy arrays.

    Raises:
      BridgeError: missing, damaged, or something other than a tree of arrays.
    """
    file = Path(folder) / WEIGHTS
    try:
        found = serialization.msgpack_restore(file.read_bytes())
    except OSError as error:
        raise BridgeError(f"cannot read {file}: {error.strerror}") from None
    except _DAMAGED as error:
        raise BridgeError(
            f"{file} is not a whole msgpack file: {error!r:.200}"
        ) from None
    if not isinstance(found, dict) or not found:
        raise BridgeError(f"{file} holds no tree of parameters")
    odd = [p for p, leaf in trees.flatten(found).items() if not _is_array(leaf)]
    if odd:
        raise BridgeError(f"{file}: {', '.join(map(str, odd[:5]))} are no arrays")
    return found


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, np.ndarray) and leaf.dtype.kind != "O"
