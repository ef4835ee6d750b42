"""Which steps of a checkpoint folder are whole, as all processes agree."""

from collections.abc import Sequence
from pathlib import Path

import jax

from bridge_jax.checkpoint import manifest
from bridge_jax.core import log, runtime
from bridge_jax.core.errors import BridgeError

_SHOWN = 3  # faults named in one message


class Steps:
    """Verdicts on the steps below `directory`; each step is read once."""

    def __init__(self, directory: Path):
        self.directory = directory
        self._verdicts: dict[int, str] = {}

    def fault(self, step: int) -> str:
        """What is wrong with a step, in one clause; "" if its files are as written.

        Processes share the reading; one that finds a fault makes it everybody's.
        """
        if step not in self._verdicts:
            share, shares = jax.process_index(), jax.process_count()
            found = manifest.problems(self.directory / str(step), share, shares)
            count = runtime.total(len(found))
            shown = "; ".join(found[:_SHOWN]) or "another process found it"
            self._verdicts[step] = f"{count} fault(s): {shown}" if count else ""
        return self._verdicts[step]

    def newest_whole(self, steps: Sequence[int]) -> int:
        """The newest of `steps` whose files are as written; says which are not.

        Raises:
          BridgeError: none is.
        """
        faults = []
        for step in sorted(steps, reverse=True):
            fault = self.fault(step)
            if not fault:
                for text in faults:
                    log.say(f"DAMAGED CHECKPOINT: {text}; falling back to step {step}")
                return step
            faults.append(f"step {step} in {self.directory} has {fault}")
        raise BridgeError(f"no checkpoint is whole: {'. '.join(faults)}")

    def set_aside(self, step: int) -> Path:
        """Rename a damaged step so that it is kept and no longer counts."""
        number, kept = 1, self.directory / f"{step}.damaged"
        while kept.exists():
            number += 1
            kept = self.directory / f"{step}.damaged.{number}"
        runtime.total(0)  # all have chosen the name before it is taken
        if jax.process_index() == 0:
            (self.directory / str(step)).rename(kept)
        runtime.total(0)
        self.forget(step)
        return kept

    def forget(self, step: int) -> None:
        """Read this step anew next time."""
        self._verdicts.pop(step, None)
