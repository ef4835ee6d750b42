"""A run that ends before anything came of it leaves nothing."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from bridge_jax.checkpoint.folders import FOLDER

_CONFIG = "config.json"


@contextlib.contextmanager
def on_failure(workdir: Path) -> Iterator[None]:
    """On an exception, take away what `workdir` has got since, if that is nothing yet.

    A step that does not fit, or data that is not there, is told when the run has its
    config and a folder for checkpoints already: who mends the command would be told
    next that a run is there. Once it has a figure, picture or checkpoint all stays, as
    it does where the folder for checkpoints was there before.
    """
    existed, before = workdir.is_dir(), _names(workdir)
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):  # what ended the run is to be told
            new = _names(workdir) - before
            if FOLDER in new and new <= {FOLDER, _CONFIG}:
                (workdir / FOLDER).rmdir()  # which refuses one with a checkpoint
                if _CONFIG in new:
                    (workdir / _CONFIG).unlink()
                if not existed:
                    workdir.rmdir()
        raise


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()
