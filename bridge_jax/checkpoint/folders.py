"""The folders below a run's checkpoints, as they lie there; opens none of them."""

import dataclasses
from pathlib import Path

from bridge_jax.core.errors import BridgeError

FOLDER = "checkpoints"
COMPLETE = "complete"
UNFINISHED = "unfinished (a save that was killed or still goes on)"
ASIDE = "set aside as damaged"


@dataclasses.dataclass(frozen=True)
class Step:
    """One folder.

    Attributes:
      name: as it is called; the number of the step where it counts.
      size: bytes of all its files.
      written: seconds since the epoch, of its youngest file.
      state: COMPLETE, UNFINISHED or ASIDE.
    """

    path: Path
    name: str
    size: int
    written: float
    state: str


def find(directory: str | Path, step: int | None = None) -> list[Step]:
    """The steps of a work directory (or of the checkpoint folder itself), by number.

    Raises:
      BridgeError: no such folder, no step in it, or not the one asked for.
    """
    top = Path(directory)
    top = top / FOLDER if (top / FOLDER).is_dir() else top
    if not top.is_dir():
        raise BridgeError(f"no directory {directory}: give the work directory of a run")
    found = [
        path
        for path in top.iterdir()
        if path.is_dir() and path.name.split(".")[0].isdigit()
    ]
    if not found:
        raise BridgeError(f"no checkpoint in {top}: is it a work directory?")
    found.sort(key=lambda path: (int(path.name.split(".")[0]), path.name))
    if step is not None:
        names = ", ".join(path.name for path in found)
        found = [path for path in found if path.name == str(step)]
        if not found:
            raise BridgeError(
                f"no checkpoint of step {step} in {top}; there are {names}"
            )
    return [_describe(path) for path in found]


def _describe(path: Path) -> Step:
    stats = [file.stat() for file in path.rglob("*") if file.is_file()]
    state = ASIDE if ".damaged" in path.name else UNFINISHED
    if path.name.isdigit():
        state = COMPLETE
    written = max((one.st_mtime for one in stats), default=path.stat().st_mtime)
    return Step(path, path.name, sum(one.st_size for one in stats), written, state)
