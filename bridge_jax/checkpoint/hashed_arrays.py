"""Orbax's standard handler of array trees, whose files each process hashes.

A process hashes what it wrote, in the background, before the processes meet and the
checkpoint counts (see `manifest`).
"""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp

from bridge_jax.checkpoint import manifest


class Handler(ocp.StandardCheckpointHandler):
    """Saves with `Save`, restores with `Restore`."""

    async def async_save(self, directory: Any, *args: Any, **kwargs: Any) -> Any:
        futures = await super().async_save(directory, *args, **kwargs)

        def write() -> None:
            item = Path(getattr(directory, "path", directory))
            manifest.write_own(item, jax.process_index())

        return [ocp.future.ChainedFuture(futures or [], write)]


@ocp.args.register_with_handler(Handler, for_save=True)
@dataclasses.dataclass
class Save(ocp.args.StandardSave):
    """A tree of arrays."""


@ocp.args.register_with_handler(Handler, for_restore=True)
@dataclasses.dataclass
class Restore(ocp.args.StandardRestore):
    """A tree of ShapeDtypeStruct with the shardings wanted."""
