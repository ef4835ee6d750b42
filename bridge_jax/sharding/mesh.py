"""The device mesh: axes (data, fsdp, sequence, tensor), sizes with -1 for the rest."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.experimental import mesh_utils
from jax.sharding import AxisType, Mesh

from bridge_jax.core.config import suggest
from bridge_jax.core.errors import BridgeError

# Slowest links first: tensor parallelism talks most and gets the nearest devices.
AXES = ("data", "fsdp", "sequence", "tensor")
DCN = "dcn"
ONES = dict.fromkeys(AXES, 1)


def make_mesh(
    sizes: Mapping[str, Any], devices: Sequence[jax.Device] | None = None
) -> Mesh:
    """A mesh of all `devices` (default: every one there is).

    Args:
      sizes: axis -> size within a slice, that is over its fast links; missing axes have
        size 1, one may be -1 for the rest. "dcn": the same for the network between
        slices. An axis of the mesh has the product of both; {"data": 2, "fsdp": -1,
        "dcn": {"data": 2}} over two slices has data = 4. Devices that belong to no
        slice (CPU, GPU) are cut into slices in their order. Where there are several
        slices and nothing is said of them, each holds a share of the data.

    Raises:
      BridgeError: unknown axis, sizes that do not multiply to the device count, not as
        many slices as there are, or sizes that the chips' torus does not allow.
    """
    devices = jax.devices() if devices is None else list(devices)
    within = {axis: size for axis, size in sizes.items() if axis != DCN}
    between = {a: size for a, size in dict(sizes.get(DCN) or {}).items() if size != 1}
    numbers = {getattr(device, "slice_index", None) for device in devices} - {None}
    slices = max(1, len(numbers))
    if between and slices == 1:
        slices = math.prod(size for size in between.values() if size > 0)
    elif slices > 1 and not between:
        between = {"data": slices}
    outer = _shape(between, slices, f"mesh {DCN}", "slice(s)")
    if len(devices) % slices:
        raise BridgeError(f"{len(devices)} devices do not form {slices} equal slices")
    inner = _shape(within, len(devices) // slices, "mesh", "device(s)")
    shape = [a * b for a, b in zip(outer, inner, strict=True)]
    if len(numbers) > 1:
        arranged = mesh_utils.create_hybrid_device_mesh(inner, outer, devices)
        return Mesh(arranged, AXES, axis_types=(AxisType.Auto,) * len(AXES))
    if slices > 1:
        arranged = np.array(devices).reshape(*outer, *inner)
        order = [i for axis in range(len(AXES)) for i in (axis, axis + len(AXES))]
        arranged = arranged.transpose(order).reshape(shape)
        return Mesh(arranged, AXES, axis_types=(AxisType.Auto,) * len(AXES))
    try:
        # Explicit axes, jax's default, raise in linen's logical constraints.
        return jax.make_mesh(
            shape, AXES, axis_types=(AxisType.Auto,) * len(AXES), devices=devices
        )
    except RuntimeError as error:
        if "Failed to find assignment" not in str(error):
            raise
        raise BridgeError(_no_torus(shape, devices)) from None


def _no_torus(shape: Sequence[int], devices: Sequence[jax.Device]) -> str:
    """Why a mesh of that shape cannot be laid on the wires between TPU chips."""
    places = np.array([getattr(device, "coords", ()) for device in devices])
    sides = [int(side) for side in places.max(axis=0) + 1 if side > 1]
    sizes = {axis: n for axis, n in zip(AXES, shape, strict=True) if n > 1}
    return (
        f"mesh {sizes} cannot be laid on these chips, a torus of"
        f" {' x '.join(map(str, sides))}: each size has to be a product of its sides,"
        f" as in data={sides[0]} and fsdp=-1"
    )


def _shape(sizes: Mapping[str, int], count: int, what: str, things: str) -> list[int]:
    """Sizes of AXES that multiply to `count`, -1 filled in."""
    for name in sizes:
        if name not in AXES:
            raise BridgeError(
                f"no {what} axis {name!r}{suggest(name, AXES)}; there are {list(AXES)}"
            )
    shape = [sizes.get(axis, 1) for axis in AXES]
    fixed = math.prod(size for size in shape if size != -1)
    if shape.count(-1) > 1 or any(size < 1 and size != -1 for size in shape):
        raise BridgeError(
            f"{what} {dict(sizes)}: sizes are positive, at most one is -1"
        )
    if -1 in shape and count % fixed == 0:
        shape[shape.index(-1)] = count // fixed
    if -1 in shape or math.prod(shape) != count:
        raise BridgeError(
            f"{what} {dict(sizes)} does not fit {count} {things}; use sizes whose"
            " product is that number, or -1 for one of them"
        )
    return shape
