"""Orbax's handler of array trees, whose files each process hashes.

A process hashes what it wrote, in the background, before the processes meet and the
checkpoint counts (see `manifest`).
"""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from bridge_jax.checkpoint import manifest

# Of an array that several devices hold whole, each writes a part, if it has so many
# bytes. To cut it takes a program for every shape and part: of small arrays, hundreds
# would be compiled at a run's first save.
SMALLEST_PART = 2**20


class Handler(ocp.PyTreeCheckpointHandler):
    """Saves with `Save`, restores with `Restore`."""

    def __init__(self) -> None:
        types = ocp.type_handlers
        arrays = types.ArrayHandler(min_slice_bytes_for_replica_parallel=SMALLEST_PART)
        super().__init__(
            type_handler_registry=types.create_type_handler_registry(
                (np.ndarray, types.NumpyHandler()), (jax.Array, arrays)
            )
        )

    async def async_save(self, directory: Any, *args: Any, **kwargs: Any) -> Any:
        futures = await super().async_save(directory, *args, **kwargs)

        def write() -> None:
            item = Path(getattr(directory, "path", directory))
            manifest.write_own(item, jax.process_index())

        return [ocp.future.ChainedFuture(futures or [], write)]


@ocp.args.register_with_handler(Handler, for_save=True)
@dataclasses.dataclass
class Save(ocp.args.PyTreeSave):
    """A tree of arrays."""


@ocp.args.register_with_handler(Handler, for_restore=True)
@dataclasses.dataclass
class Restore(ocp.args.PyTreeRestore):
    """A tree of ShapeDtypeStruct with the shardings wanted."""

    def __post_init__(self) -> None:
        self.restore_args = ocp.checkpoint_utils.construct_restore_args(self.item)
