"""Does a config fit a topology? Its own programs, compiled for those devices."""

import dataclasses
import math
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from bridge_jax.core import hardware
from bridge_jax.core.errors import BridgeError
from bridge_jax.plan import collectives, programs, topology
from bridge_jax.train import recipe as recipe_lib

HEADROOM = 0.10  # of a device's memory, for what one program's plan does not count


@dataclasses.dataclass(frozen=True)
class Plan:
    """What compiling one program said. Sizes are GiB a device.

    Attributes:
      program: which one, see `programs`.
      parameters, trained: how many numbers, over all devices.
      state: parameters, optimiser state and average; they stay from step to step.
      optimizer: the part of it that is neither parameters nor average.
      batch: what a step is given besides.
      temporary: activations and everything else inside a step.
      peak: all of it at once; nan if the compiler refused.
      memory: what a device has; nan where it is not known.
      flops: of the model over all devices, by part; of a loop without a known number
        of turns (decoding) one turn.
      again: FLOPs that rematerialisation adds.
      wires: bytes a device receives, by kind of collective; empty if unknown.
      formula: bytes it would receive if every parameter were gathered as often as
        fully sharded data parallelism has to, see `fsdp_bytes`.
      projected: seconds of one execution by the makers' figures, never measured.
      seconds: to trace, lower and compile, here.
      refusal: the compiler's own words, "" if it compiled.
      whole: the share of the parameters that lies whole on every device, because the
        mesh does not divide it.
    """

    config: str
    program: str
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
    flops: dict[str, float]
    again: float
    wires: dict[str, float]
    formula: float
    projected: float
    seconds: float
    refusal: str = ""
    whole: float = 0.0

    @property
    def fits(self) -> bool:
        """Compiled, and with head-room where the memory is known."""
        if self.refusal:
            return False
        return math.isnan(self.memory) or self.peak <= (1 - HEADROOM) * self.memory

    def to_json(self) -> dict[str, Any]:
        """Its fields and `fits`; what is not known is null, since JSON has no nan."""
        fields = dataclasses.asdict(self)
        unknown = {
            name: None
            for name, one in fields.items()
            if isinstance(one, float) and math.isnan(one)
        }
        return fields | unknown | {"fits": self.fits}

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> "Plan":
        """The inverse of `to_json`. Raises TypeError for other fields."""
        known = {
            name: math.nan if value is None else value
            for name, value in told.items()
            if name != "fits"
        }
        return cls(**known)


def plans(
    config: Any, name: str, where: topology.Topology, kind: str = "training"
) -> Iterator[Plan]:
    """Compile the programs of a resolved config for a topology, one after another.

    Args:
      name: of the config, for the record.
      kind: of `programs.PROGRAMS`.

    Raises:
      BridgeError: the config or its mesh does not go with so many devices, or has not
        what the programs need.
    """
    recipe = recipe_lib.make(config, where.devices)
    began = time.perf_counter()
    for program in programs.PROGRAMS[kind](recipe):
        yield _plan(program, name, where, began)
        began = time.perf_counter()


def _plan(
    program: programs.Program, name: str, where: topology.Topology, began: float
) -> Plan:
    layout, count = program.layout, program.count
    refusal, temporary, peak, wires = "", math.nan, math.nan, {}
    held, batch = _bytes(program.state), _bytes(*program.batch)
    try:
        with layout.scope(), tempfile.TemporaryDirectory() as folder:
            # jax 0.10 cannot print every TPU program back; the compiler itself can.
            dump = {"xla_dump_to": folder, "xla_dump_hlo_as_text": True}
            options = {**dump, **where.options}
            compiled = program.traced.lower().compile(compiler_options=options)
            wires = collectives.sent(_text(Path(folder)))
    except BridgeError:
        raise
    except Exception as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        refusal = _short(str(error))
    else:
        temporary, peak = _memory(compiled, held + batch)
    counted = _bytes(program.params) + _bytes(program.averaged)
    plan = Plan(
        config=name,
        program=program.name,
        topology=where.name,
        devices=len(where.devices),
        mesh={axis: size for axis, size in layout.mesh.shape.items() if size > 1},
        parameters=_count(program.params),
        trained=_count(program.trainable),
        state=held / topology.GIB,
        optimizer=(held - counted) / topology.GIB,
        batch=batch / topology.GIB,
        temporary=temporary,
        peak=peak,
        memory=where.memory,
        flops=count.parts,
        again=count.again,
        wires=wires,
        formula=fsdp_bytes(program),
        projected=math.nan,
        seconds=time.perf_counter() - began,
        refusal=refusal,
        whole=_whole(program.params),
    )
    kind = where.devices[0].device_kind
    return dataclasses.replace(plan, projected=_projected(plan, hardware.peak(kind)))


def _whole(params: Any) -> float:
    leaves = [leaf for leaf in jax.tree.leaves(params) if leaf.ndim > 1]
    whole = sum(leaf.size for leaf in leaves if leaf.sharding.is_fully_replicated)
    return whole / max(sum(leaf.size for leaf in leaves), 1)


def fsdp_bytes(program: programs.Program) -> float:
    """Bytes a device receives if sharded parameters are gathered once a pass.

    Two bytes a number: a gather for the forward and one for the backward pass, and a
    reduction of the gradient, where it trains; one gather where it does not. What lies
    whole on every device does not count.
    """
    trained = {id(leaf) for leaf in jax.tree.leaves(program.trainable)}
    total = 0.0
    for leaf in jax.tree.leaves(program.params):
        own = math.prod(leaf.sharding.shard_shape(leaf.shape))
        parts = math.prod(leaf.shape) / max(own, 1)
        elsewhere = 2 * math.prod(leaf.shape) * (1 - 1 / parts)
        if id(leaf) in trained:
            total += 3 * elsewhere
        else:
            total += elsewhere
    return total


def _projected(plan: Plan, peak: hardware.Peak) -> float:
    """The longest of: arithmetic at the peak, wires, touching all memory once.

    nan where the peak is not known or the compiler refused.
    """
    if plan.refusal:
        return math.nan
    arithmetic = (sum(plan.flops.values()) + plan.again) / plan.devices / peak.flops
    wires = sum(plan.wires.values()) / peak.link
    memory = plan.peak * topology.GIB / peak.memory
    return max(arithmetic, wires, memory)


def _memory(compiled: Any, resident: int) -> tuple[float, float]:
    """(inside a step, peak), GiB a device.

    What stays on a device counts even where this program does not read it.
    """
    memory = compiled.memory_analysis()
    temporary = memory.temp_size_in_bytes / topology.GIB
    kept = memory.output_size_in_bytes - memory.alias_size_in_bytes
    given = max(memory.argument_size_in_bytes, resident)
    return temporary, (given + kept) / topology.GIB + temporary


def _text(folder: Path) -> str:
    """The optimised program that the compiler left in a folder."""
    found = [
        path
        for path in folder.glob("*after_optimizations.txt")
        if "ENTRY" in path.read_text()
    ]
    largest = max(found, key=lambda path: path.stat().st_size, default=None)
    return "" if largest is None else largest.read_text()


def _count(tree: Any) -> int:
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


def _bytes(tree: Any, shardings: Any = None) -> int:
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
