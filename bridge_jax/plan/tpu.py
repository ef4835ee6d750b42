"""TPU slices that are not there, described by libtpu (the extra `plan`)."""

import dataclasses
import os
from typing import Any

import jax

from bridge_jax.core.errors import BridgeError


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


OPTIONS: dict[str, Any] = {}
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


def sizes(kind: str) -> list[int]:
    """The numbers under which slices of a kind are booked."""
    found = KINDS[kind]
    return [chips * found.cores for chips in GRIDS[found.dimensions]]


def devices(kind: str, number: int, slices: int) -> list[jax.Device]:
    """Of `slices` slices, each booked as `number`, which is one of `sizes`.

    Raises:
      BridgeError: libtpu is not installed, or describes something else.
    """
    # Off the cloud libtpu would look for a metadata server, and for the lock of another
    # process that compiles.
    os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
    os.environ.setdefault("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")
    from jax.experimental import topologies

    found = KINDS[kind]
    grid = GRIDS[found.dimensions][number // found.cores]
    hosts = (2, 2, 1) if found.dimensions == 3 else (2, 2)
    try:
        described = topologies.get_topology_desc(
            platform="tpu",
            topology_name=f"{found.prefix}:{grid}",
            chips_per_host_bounds=(*hosts, 1)[:3],
            num_slices=slices,
            wrap=(False,) * 3,
            **found.settings,
        )
    except Exception as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise BridgeError(
            f"cannot describe {found.prefix}:{grid}: {first}; is libtpu installed?"
            " pip install -e '.[plan]'"
        ) from error
    listed = list(described.devices)
    wrong = {device.device_kind for device in listed} - {found.device}
    if wrong:
        raise BridgeError(f"libtpu describes {', '.join(wrong)} as {found.device}")
    return listed
