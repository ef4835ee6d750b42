"""Devices that are not there, by the names people book them under.

A name is "v5p-64", "v6e-256", "h200-32" or, for several slices, "2xv5p-64"; "cpu-8" are
simulated devices, to try a plan without an extra.
"""

import dataclasses
import math
import re
from collections.abc import Mapping
from typing import Any

import jax

from bridge_jax.core.config import suggest
from bridge_jax.core.errors import BridgeError
from bridge_jax.plan import gpu, tpu

GIB = 2**30
_MAKERS = {kind: maker for maker in (tpu, gpu) for kind in maker.KINDS}
_NAME = re.compile(rf"(?:(\d+)x)?({'|'.join([*_MAKERS, 'cpu'])})-(\d+)")


@dataclasses.dataclass(frozen=True)
class Topology:
    """Attributes:
    name: as it was given.
    devices: of jax, not addressable unless simulated.
    memory: GiB a device; nan where it is not known (CPU).
    options: of the compiler, for what needs a device to be there.
    """

    name: str
    devices: list[jax.Device]
    memory: float
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def find(name: str) -> Topology:
    """The devices of a name.

    Raises:
      BridgeError: no such name or size, or what describes it is not installed.
    """
    match = _NAME.fullmatch(name)
    if not match:
        hint = suggest(name, [f"{kind}-64" for kind in _MAKERS])
        raise BridgeError(
            f"no topology {name!r}{hint}; names are like v4-32, v5p-64, v5e-256,"
            " v6e-256, h200-8, 2xv5p-64 (two slices) or cpu-8 (simulated)"
        )
    slices, kind, number = int(match[1] or 1), match[2], int(match[3])
    if kind == "cpu":
        return _simulated(name, number)
    maker = _MAKERS[kind]
    if number not in maker.sizes(kind) or slices < 1:
        sizes = ", ".join(f"{kind}-{size}" for size in maker.sizes(kind))
        raise BridgeError(f"no topology {name!r}; there are {sizes}")
    found = maker.devices(kind, number, slices)
    return Topology(name, found, maker.KINDS[kind].memory, maker.OPTIONS)


def _simulated(name: str, number: int) -> Topology:
    devices = jax.devices("cpu")
    if len(devices) < number:
        raise BridgeError(
            f"{name} needs {number} simulated devices and there are {len(devices)}; add"
            f" --simulate {number}"
        )
    return Topology(name, devices[:number], math.nan)
