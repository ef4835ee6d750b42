"""The device mesh: axes (data, fsdp, sequence, tensor), sizes with -1 for the rest."""

import math
from collections.abc import Mapping, Sequence

import jax
from jax.sharding import AxisType, Mesh

from bridge_jax.core.config import suggest
from bridge_jax.core.errors import BridgeError

# Slowest links first: tensor parallelism talks most and gets the nearest devices.
AXES = ("data", "fsdp", "sequence", "tensor")


def make_mesh(
    sizes: Mapping[str, int], devices: Sequence[jax.Device] | None = None
) -> Mesh:
    """A mesh of all `devices` (default: every one there is).

    Args:
      sizes: axis -> size; missing axes have size 1, one may be -1 for the rest.

    Raises:
      BridgeError: unknown axis, or sizes that do not multiply to the device count.
    """
    devices = jax.devices() if devices is None else list(devices)
    for name in sizes:
        if name not in AXES:
            raise BridgeError(
                f"no mesh axis {name!r}{suggest(name, AXES)}; there are {list(AXES)}"
            )
    shape = [sizes.get(axis, 1) for axis in AXES]
    fixed = math.prod(size for size in shape if size != -1)
    if shape.count(-1) > 1 or any(size < 1 and size != -1 for size in shape):
        raise BridgeError(f"mesh {dict(sizes)}: sizes are positive, at most one is -1")
    if -1 in shape and len(devices) % fixed == 0:
        shape[shape.index(-1)] = len(devices) // fixed
    if -1 in shape or math.prod(shape) != len(devices):
        raise BridgeError(
            f"mesh {dict(sizes)} does not fit {len(devices)} device(s); use sizes whose"
            " product is that number, or -1 for one of them"
        )
    # Explicit axes, jax's default, raise in linen's logical constraints.
    return jax.make_mesh(
        shape, AXES, axis_types=(AxisType.Auto,) * len(AXES), devices=devices
    )
