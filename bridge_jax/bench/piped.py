"""A process at the other end of two pipes: asked by lines, it answers in json."""

import contextlib
import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bridge_jax.core.errors import BridgeError


class Piped:
    """Attributes:
    name: what it is called in errors.
    pid: of the process.
    """

    def __init__(self, name: str, process: subprocess.Popen):
        self.name, self.pid, self._process = name, process.pid, process

    def ask(self, command: str) -> dict[str, Any]:
        """What it answers. Raises as `answer`."""
        with contextlib.suppress(BrokenPipeError):  # the answer tells
            print(command, file=self._process.stdin, flush=True)
        return self.answer()

    def answer(self) -> dict[str, Any]:
        """The next line of json; others are passed over.

        Raises:
          BridgeError: the process has ended.
        """
        for line in self._process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        raise BridgeError(f"the process of {self.name} stopped: see above")


@contextlib.contextmanager
def started(
    name: str, command: Sequence[str], environment: Mapping[str, str]
) -> Iterator[Piped]:
    """The process of a command; killed at the end of the context."""
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=dict(environment),
    ) as process:
        try:
            yield Piped(name, process)
        finally:
            process.kill()
