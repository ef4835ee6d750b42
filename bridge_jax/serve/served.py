"""What all endpoints share: the model, its limits, its lines and its figures."""

import dataclasses
import time
from typing import Any

from bridge_jax.serve.backend import Backend
from bridge_jax.serve.fields import Reader
from bridge_jax.serve.limits import Limits
from bridge_jax.serve.line import Line
from bridge_jax.serve.metrics import Metrics
from bridge_jax.serve.refused import Refused

_DRAWERS = 1  # what draws takes the whole device
_EMBEDDERS = 1


@dataclasses.dataclass
class Served:
    """See above.

    Attributes:
      name: what the model is called.
      shelf: pictures to search, a `search.Shelf`, or None.
      inside: requests that are being answered.
      stopping: whether new ones are turned away.
    """

    backend: Backend
    name: str
    limits: Limits = Limits()
    shelf: Any = None
    inside: int = 0
    stopping: bool = False

    def __post_init__(self):
        self.metrics, self.created = Metrics(), int(time.time())
        waiting, seconds = self.limits.waiting, self.limits.seconds
        self.chats = Line("chats", self.limits.rows, waiting, seconds)
        self.drawings = Line("drawings", _DRAWERS, waiting, seconds)
        self.embeddings = Line("embeddings", _EMBEDDERS, waiting, seconds)
        for line in self.lines:
            self.metrics.watch(line)

    @property
    def lines(self) -> tuple[Line, ...]:
        return self.chats, self.drawings, self.embeddings

    def need(self, task: str, read: Reader) -> None:
        """Raises Refused unless the request names this model, which can do `task`."""
        named = read.any("model", self.name)
        if named != self.name:
            raise Refused(
                404,
                f"there is no such model here: this server has {self.name}",
                param="model",
                code="model_not_found",
            )
        if task not in self.backend.tasks:
            raise Refused(400, f"{self.name} cannot {task}: it lacks the parts for it")

    def close(self) -> None:
        for line in self.lines:
            line.close()
        self.backend.close()
