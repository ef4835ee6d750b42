"""Does a config fit a topology? Its own training step, compiled for those devices."""

import dataclasses
import math
import time
from typing import Any

import jax
import numpy as np

from bridge_jax.core import trees
from bridge_jax.core.errors import BridgeError
from bridge_jax.plan import abstract, topology
from bridge_jax.train import recipe as recipe_lib

HEADROOM = 0.10  # of a device's memory, for what one program's plan does not count


@dataclasses.dataclass(frozen=True)
class Plan:
    """What compiling said. Sizes are GiB a device.

    Attributes:
      parameters, trained: how many numbers, over all devices.
      state: parameters, optimiser state and average; they stay from step to step.
      optimizer: the part of it that is neither parameters nor average.
      batch: what a step is given besides.
      temporary: activations and everything else inside a step.
      peak: all of it at once; nan if the compiler refused.
      memory: what a device has; nan where it is not known.
      seconds: to lower and compile, here.
      refusal: the compiler's own words, "" if it compiled.
    """

    config: str
    topology: str
    devices: int
    mesh: dict[str, int]
    parameters: int
    trained: int
    state: float
    optimizer: float
    batch: float
    temporary: float
    peak: float
    memory: float
    seconds: float
    refusal: str = ""

    @property
    def fits(self) -> bool:
        """Compiled, and with head-room where the memory is known."""
        if self.refusal:
            return False
        return math.isnan(self.memory) or self.peak <= (1 - HEADROOM) * self.memory


def plan(config: Any, name: str, where: topology.Topology) -> Plan:
    """Compile the training step of a resolved config for a topology.

    Raises:
      BridgeError: the config or its mesh does not go with so many devices.
    """
    recipe = recipe_lib.make(config, where.devices)
    step, state, batch = abstract.training(recipe)
    began = time.perf_counter()
    refusal, temporary, peak = "", math.nan, math.nan
    try:
        compiled = step.compile(state, batch)
    except BridgeError:
        raise
    except Exception as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        refusal = _short(str(error))
    else:
        memory = compiled.memory_analysis()
        temporary = memory.temp_size_in_bytes / topology.GIB
        kept = memory.output_size_in_bytes - memory.alias_size_in_bytes
        peak = (memory.argument_size_in_bytes + kept) / topology.GIB + temporary
    layout = recipe.layout
    held = _bytes(state, None)
    counted = _bytes(state.params, None) + _bytes(state.ema, None)
    given = _bytes(batch, layout.batch_sharding(batch))
    trained, _ = trees.partition(state.params, step.trainable)
    return Plan(
        config=name,
        topology=where.name,
        devices=len(where.devices),
        mesh={axis: size for axis, size in layout.mesh.shape.items() if size > 1},
        parameters=_count(state.params),
        trained=_count(trained),
        state=held / topology.GIB,
        optimizer=(held - counted) / topology.GIB,
        batch=given / topology.GIB,
        temporary=temporary,
        peak=peak,
        memory=where.memory,
        seconds=time.perf_counter() - began,
        refusal=refusal,
    )


def _count(tree: Any) -> int:
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


def _bytes(tree: Any, shardings: Any) -> int:
    """Bytes on one device."""
    places = jax.tree.leaves(shardings)
    leaves = jax.tree.leaves(tree)
    if not places:
        places = [leaf.sharding for leaf in leaves]
    return sum(
        math.prod(place.shard_shape(leaf.shape)) * np.dtype(leaf.dtype).itemsize
        for leaf, place in zip(leaves, places, strict=True)
    )


def _short(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for line in lines:
        if "exceeded" in line.lower() or "out of memory" in line.lower():
            return line[:200]
    return lines[0][:200]
