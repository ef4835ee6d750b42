"""Devices that are not there: TPU topologies by the names people book them under.

libtpu compiles for them on any machine (the `plan` extra). A name is "v5p-64",
"v6e-256" or, for several slices, "2xv5p-64"; "cpu-8" are simulated devices, to try a
plan without libtpu.
"""

import dataclasses
import math
import os
import re
from typing import Any

import jax

from bridge_jax.core.config import suggest
from bridge_jax.core.errors import BridgeError

GIB = 2**30


@dataclasses.dataclass(frozen=True)
class Kind:
    """One TPU generation.

    Attributes:
      prefix: of libtpu's own topology names.
      cores: how many count as one device in the booked number (v4 and v5p count cores,
        of which a chip has two that work as one device).
      dimensions: of the chips' grid.
      memory: GiB that a program may use on a device.
      device: what jax calls it.
    """

    prefix: str
    cores: int
    dimensions: int
    memory: float
    device: str
    settings: Any


# Memory as libtpu 0.0.52 states it when it refuses a program.
KINDS = {
    "v4": Kind("v4", 2, 3, 30.75, "TPU v4", {"chip_config_name": "megacore"}),
    "v5p": Kind("v5", 2, 3, 95.73, "TPU v5", {"chip_config_name": "megacore"}),
    "v5e": Kind("v5e", 1, 2, 15.75, "TPU v5 lite", {}),
    "v6e": Kind("v6e", 1, 2, 31.24, "TPU v6 lite", {}),
}
# Grids as they are booked; the product is the number of chips.
GRIDS = {
    3: {n: g for n, g in ((4, "2x2x1"), (8, "2x2x2"), (16, "2x2x4"), (32, "2x4x4"))}
    | {64: "4x4x4", 128: "4x4x8", 256: "4x8x8", 512: "8x8x8", 1024: "8x8x16"},
    2: {4: "2x2", 8: "2x4", 16: "4x4", 32: "4x8", 64: "8x8", 128: "8x16", 256: "16x16"},
}
_NAME = re.compile(r"(?:(\d+)x)?(v4|v5p|v5e|v6e|cpu)-(\d+)")


@dataclasses.dataclass(frozen=True)
class Topology:
    """Attributes:
    name: as it was given.
    devices: of jax, not addressable unless simulated.
    memory: GiB a device; nan where it is not known (CPU).
    """

    name: str
    devices: list[jax.Device]
    memory: float


def find(name: str) -> Topology:
    """The devices of a name.

    Raises:
      BridgeError: no such name or size, or libtpu is not installed.
    """
    match = _NAME.fullmatch(name)
    if not match:
        hint = suggest(name, [f"{kind}-64" for kind in KINDS])
        raise BridgeError(
            f"no topology {name!r}{hint}; names are like v4-32, v5p-64, v5e-256,"
            " v6e-256, 2xv5p-64 (two slices) or cpu-8 (simulated)"
        )
    slices, kind, number = int(match[1] or 1), match[2], int(match[3])
    if kind == "cpu":
        return _simulated(name, number)
    found = KINDS[kind]
    grids = GRIDS[found.dimensions]
    chips = number // found.cores
    if number % found.cores or chips not in grids or slices < 1:
        sizes = ", ".join(f"{kind}-{n * found.cores}" for n in grids)
        raise BridgeError(f"no topology {name!r}; there are {sizes}")
    return Topology(name, _described(found, grids[chips], slices), found.memory)


def _simulated(name: str, number: int) -> Topology:
    devices = jax.devices("cpu")
    if len(devices) < number:
        raise BridgeError(
            f"{name} needs {number} simulated devices and there are {len(devices)}; add"
            f" --simulate {number}"
        )
    return Topology(name, devices[:number], math.nan)


def _described(kind: Kind, grid: str, slices: int) -> list[jax.Device]:
    # Off the cloud libtpu would look for a metadata server, and for the lock of another
    # process that compiles.
    os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
    os.environ.setdefault("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")
    from jax.experimental import topologies

    hosts = (2, 2, 1) if kind.dimensions == 3 else (2, 2)
    bounds = (*hosts, 1)[:3]
    try:
        described = topologies.get_topology_desc(
            platform="tpu",
            topology_name=f"{kind.prefix}:{grid}",
            chips_per_host_bounds=bounds,
            num_slices=slices,
            wrap=(False,) * 3,
            **kind.settings,
        )
    except Exception as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise BridgeError(
            f"cannot describe {kind.prefix}:{grid}: {first}; is libtpu installed?"
            " pip install -e '.[plan]'"
        ) from error
    devices = list(described.devices)
    wrong = {device.device_kind for device in devices} - {kind.device}
    if wrong:
        raise BridgeError(f"libtpu describes {', '.join(wrong)} as {kind.device}")
    return devices
