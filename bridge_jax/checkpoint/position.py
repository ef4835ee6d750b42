"""Where the data was: a file a process, and any number of processes may go on.

The global order of rows does not depend on how many processes share it out, so the
positions of the processes of one run are equal, and one of them is everybody's. Where
they are not (an iterator of another kind), only as many processes can go on.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import jax
import orbax.checkpoint as ocp

from bridge_jax.core.errors import BridgeError


@runtime_checkable
class Iterator(Protocol):
    """What a data iterator offers beside `__next__`: an exact position.

    It is JSON-ready, or bytes of the iterator's own.
    """

    def get_state(self) -> Any: ...

    def set_state(self, state: Any) -> None: ...


class Handler(ocp.CheckpointHandler):
    """Saves with `Save`, moves an iterator with `Restore`."""

    def save(self, directory: Any, args: "Save") -> None:
        state = args.item.get_state()
        name = _name(jax.process_index(), jax.process_count())
        written = state if isinstance(state, bytes) else json.dumps(state).encode()
        (Path(directory) / name).write_bytes(written)

    def restore(self, directory: Any, args: "Restore") -> None:
        args.item.set_state(read(Path(directory)))


@ocp.args.register_with_handler(Handler, for_save=True)
@dataclasses.dataclass
class Save(ocp.args.CheckpointArgs):
    """An `Iterator`."""

    item: Any


@ocp.args.register_with_handler(Handler, for_restore=True)
@dataclasses.dataclass
class Restore(ocp.args.CheckpointArgs):
    """An `Iterator`."""

    item: Any


def read(folder: Path) -> Any:
    """The position at which this process goes on.

    Raises:
      BridgeError: it was not saved by as many processes, and theirs differ.
    """
    own = folder / _name(jax.process_index(), jax.process_count())
    if own.is_file():
        return _parsed(own.read_bytes())
    found = {path.read_bytes() for path in folder.glob("process_*-of-*.json")}
    if len(found) != 1:
        saved = sorted(path.name for path in folder.glob("*.json"))
        raise BridgeError(
            f"{folder} holds {len(found)} different positions of the data"
            f" ({', '.join(saved[:4])}) and there are {jax.process_count()} processes;"
            " go on with as many as saved it"
        )
    return _parsed(found.pop())


def _parsed(written: bytes) -> Any:
    try:
        return json.loads(written)
    except (UnicodeDecodeError, json.JSONDecodeError):
        return written


def _name(index: int, count: int) -> str:
    return f"process_{index}-of-{count}.json"
