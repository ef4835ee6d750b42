"""A bundle: which parts of a unified model exist, and under which prefix.

Parameters live in one tree, {part: {...}}, so that "which part trains" is a regex on a
path and a checkpoint of any subset of parts has the same shape everywhere.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from bridge_jax.core import rng
from bridge_jax.core.errors import BridgeError
from bridge_jax.layers import outline


@dataclasses.dataclass(frozen=True)
class Part:
    """One model inside a bundle.

    Attributes:
      family: folder under `bridge_jax/models`.
      config: the family's frozen Config.
      module: the linen module.
      example: keyword arguments (arrays) that make every parameter on `init`.
    """

    family: str
    config: Any
    module: nn.Module
    example: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Bundle:
    """The parts by name: vlm, projector, aligner, retrieval, mt5, bert, dit, vae."""

    parts: Mapping[str, Part]

    def __contains__(self, name: str) -> bool:
        return name in self.parts

    def __getitem__(self, name: str) -> Part:
        if name not in self.parts:
            raise BridgeError(
                f"this model has no part {name!r}: it has {', '.join(self.parts)}"
            )
        return self.parts[name]

    def init(self, seed: int | jax.Array) -> dict[str, Any]:
        """Fresh boxed parameters {part: params}, traceable.

        A part's key depends on its name only: adding a part never changes how
        another one starts.
        """
        return {name: self.init_part(name, seed) for name in self.parts}

    def init_part(self, name: str, seed: int | jax.Array) -> Any:
        """Fresh boxed parameters of one part."""
        part = self[name]
        key = rng.stream(seed, f"init/{name}")
        return part.module.init(key, **part.example)["params"]

    def abstract(self) -> dict[str, Any]:
        """What `init` makes in shapes alone, {part: boxed ShapeDtypeStructs}.

        Each part is traced once a process, of layers that are alike the first.
        """
        return {name: _copy(_abstract(part)) for name, part in self.parts.items()}

    def apply(self, name: str, params: Mapping[str, Any], *args, **kwargs) -> Any:
        """Call one part with its own slice of the parameter tree.

        What it computes is named after it, in profiles and in `core/flops`.
        """
        with jax.named_scope(name):
            return self[name].module.apply({"params": params[name]}, *args, **kwargs)

    def description(self) -> dict[str, Any]:
        """JSON-ready {part: {"family", **config}}; `build.build` undoes it."""
        return {
            name: {"family": part.family, **dataclasses.asdict(part.config)}
            for name, part in self.parts.items()
        }


_ABSTRACT: dict[Any, Any] = {}


def _abstract(part: Part) -> Any:
    key = type(part.module), repr(part.config), repr(_shapes(part.example))
    if key not in _ABSTRACT:
        with outline.wanted():
            made = jax.eval_shape(
                lambda: part.module.init(jax.random.key(0), **part.example)
            )
        _ABSTRACT[key] = made["params"]
    return _ABSTRACT[key]


def _shapes(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: (jnp.shape(leaf), jnp.result_type(leaf)), tree)


def _copy(tree: Any) -> Any:
    """The same leaves in containers of their own."""
    return jax.tree.map(lambda leaf: leaf, tree)
