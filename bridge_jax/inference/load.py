"""Weights on disk to a model in use."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from bridge_jax.checkpoint import locate, weights_file
from bridge_jax.core import config as config_lib
from bridge_jax.core import trees
from bridge_jax.core.errors import BridgeError
from bridge_jax.core.types import Params
from bridge_jax.data import processor as processor_lib
from bridge_jax.inference.engine import Engine
from bridge_jax.inference.model import Model
from bridge_jax.inference.settings import DEFAULT_LIMITS, Limits
from bridge_jax.layers import int8
from bridge_jax.models import build
from bridge_jax.models import bundle as bundle_lib
from bridge_jax.sharding import place

QUANTIZED = (None, "int8")
_SHOWN = 3


def load(
    path: str | Path,
    mesh: Mapping[str, int] | None = None,
    *,
    rules: str = "fsdp_tp",
    dtype: str | None = "float32",
    quantize: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
    devices: Sequence[jax.Device] | None = None,
) -> Model:
    """A model from a folder with weights, a work directory or a preset's name.

    Parts that the file does not hold are left out; a task that needs one says so.

    Args:
      path: see `checkpoint.locate`.
      mesh: axis -> size over all devices, {"data": -1} for instance; None for one.
      rules: a table of `sharding/rules.py`.
      dtype: of weights and arithmetic, or None for what the model's config says.
      quantize: "int8" for matrices of the language model in 8 bits, a scale an output
        channel (`layers/int8.py`); arithmetic stays in `dtype`.
      limits: how much runs at once, and the longest context.
      devices: of the mesh; all that there are, of all processes, by default.

    Raises:
      BridgeError: no such weights, or weights that do not fit their config.
    """
    if quantize not in QUANTIZED:
        raise BridgeError(
            f"quantize {quantize!r} is neither None nor {'int8'!r}: weights are kept as"
            " they are, or in 8 bits"
        )
    found = locate.locate(path)
    folder = found if found.is_dir() else found.parent
    about = weights_file.read_config(folder)
    if not isinstance(about.get("model"), Mapping):
        raise BridgeError(f"{folder / weights_file.CONFIG} describes no model")
    parts = build.in_dtype(about["model"], dtype) if dtype else about["model"]
    engine = Engine(
        _held(build.build(parts), found),
        processor(about.get("processor", {}), folder),
        _layout(mesh, rules, devices),
        limits,
    )
    _check(engine, found)
    return Model(engine, engine.place(_read(engine.bundle, found, dtype, quantize)))


def _layout(
    mesh: Mapping[str, int] | None, rules: str, devices: Sequence[jax.Device] | None
) -> place.Layout:
    if mesh is None:
        return place.make({"data": 1}, rules, devices=jax.local_devices()[:1])
    return place.make(dict(mesh), rules, devices=devices)


def _held(bundle: bundle_lib.Bundle, path: Path) -> bundle_lib.Bundle:
    """The bundle without the parts that the file has no tensor of."""
    file = weights_file.open_file(path)
    tops = {name.split("/")[0] for name in file}
    held = {name: part for name, part in bundle.parts.items() if name in tops}
    if not held:
        raise BridgeError(
            f"{file.path} holds {', '.join(sorted(tops)) or 'nothing'} and none of the "
            f"parts in its config: {', '.join(bundle.parts)}"
        )
    return dataclasses.replace(bundle, parts=held)


def _check(engine: Engine, path: Path) -> None:
    """Raises BridgeError with the first few misfits of every part."""
    file, problems = weights_file.open_file(path), []
    for name, shapes in engine.boxed.items():
        wanted = {f"{name}/{p}": a for p, a in _shapes(shapes).items()}
        found = {p: s for p, s in file.shapes.items() if p.startswith(f"{name}/")}
        wrong = trees.difference(wanted, found)
        if wrong:
            more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
            problems.append(f"{name}: {'; '.join(wrong[:_SHOWN])}{more}")
    if problems:
        raise BridgeError(
            f"{file.path} is not the model that its config describes: "
            f"{' | '.join(problems)}; a part of a part can only start a training run "
            "(init_from)"
        )


def _shapes(boxed: Any) -> dict[str, tuple[int, ...]]:
    flat = trees.flatten(place.unbox(boxed))
    return {path: tuple(leaf.shape) for path, leaf in flat.items()}


def _read(
    bundle: bundle_lib.Bundle, path: Path, dtype: str | None, quantize: str | None
) -> Params:
    """Host parameters of every part, in the dtype that it computes with."""
    params = {}
    for name, part in bundle.parts.items():
        wanted = dtype or getattr(part.config, "param_dtype", "float32")
        params[name] = weights_file.load(path, prefix=name, dtype=wanted)
        if quantize and name == "vlm":
            params[name] = int8.quantize(params[name], prefix="llm/")
    return params


def processor(given: Mapping[str, Any], folder: Path) -> processor_lib.Processor:
    """The processor that a model's description in `folder` speaks of."""
    config = config_lib.to_dataclass(processor_lib.Config, given, where="processor")
    # Tokenizers that travel with the weights are named from the weights' folder.
    if config.tokenizers and (folder / config.tokenizers).is_dir():
        home = str(folder / config.tokenizers)
        config = dataclasses.replace(config, tokenizers=home)
    return processor_lib.Processor(config)
