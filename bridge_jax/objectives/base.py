"""What an objective is: a frozen dataclass that maps a view of a batch to a Term.

One file is one idea is one config line: `c.objectives.my_idea = dict(weight=0.1)`
loads `bridge_jax/objectives/my_idea.py` (or the module named by a dotted `name`) and
makes its `Objective`.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from bridge_jax.core import config as config_lib
from bridge_jax.core import rooms


@dataclasses.dataclass(frozen=True)
class Base:
    """Fields that every objective shares.

    Attributes:
      weight: coefficient in the total loss.
      stream: which of the batch's streams it reads.
    """

    weight: float = 1.0
    stream: str = "main"


def load(settings: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """{"label": {"name"?: file, **fields}} -> {"label": Objective}, in order.

    Raises:
      BridgeError: no such file, or a field that the objective does not have.
    """
    return {label: _load_one(label, dict(given)) for label, given in settings.items()}


def _load_one(label: str, given: dict[str, Any]) -> Any:
    where = f"objectives.{label}"
    cls = rooms.load(__package__, given.pop("name", label), "Objective", where)
    return config_lib.to_dataclass(cls, given, where)
