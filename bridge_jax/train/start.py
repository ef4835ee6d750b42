"""Parameters before the first step: fresh, from files, taken over, adapted.

A LoRA run's tree has one more branch, `lora`, beside the parts; the models never hear
of it: `adapted` gives the tree that they train with, `merged` the one to export.
"""

import dataclasses
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp

from bridge_jax.checkpoint import init_from as init_from_lib
from bridge_jax.core import rng, trees
from bridge_jax.core.errors import BridgeError
from bridge_jax.core.types import Array, Params
from bridge_jax.layers import lora
from bridge_jax.models import bundle as bundle_lib
from bridge_jax.models.bitransformer import initialise
from bridge_jax.sharding import place

ADAPTERS = "lora"


@dataclasses.dataclass(frozen=True)
class Lora:
    """Low-rank adapters instead of whole kernels.

    Attributes:
      rank: 0 for none.
      alpha: the adapters' product is scaled by alpha / rank.
      patterns: regular expressions found in the paths of the kernels to adapt.
    """

    rank: int = 0
    alpha: float = 16.0
    patterns: tuple[str, ...] = (r"vlm/llm/",)


@dataclasses.dataclass(frozen=True)
class Start:
    """Where a run's parameters come from; the fields are those of `recipe.Config`."""

    seed: int
    init_from: Mapping[str, str]
    aligner_init: str
    adapters: Lora

    def params(self, bundle: bundle_lib.Bundle, layout: place.Layout) -> Params:
        """Initial parameters on the mesh, {part: ...} and the adapters if any.

        Raises:
          BridgeError: files or patterns that do not fit the model.
        """
        boxed = bundle.abstract()
        params = {
            name: self._part(name, boxed[name], bundle, layout) for name in bundle.parts
        }
        params = init_from_lib.init_from(params, self.init_from)
        if self.aligner_init != "fresh" and not self._brings("aligner", boxed):
            made = trees.flatten(_from_mt5(params, self.aligner_init))
            read = trees.flatten(params["aligner"])
            params["aligner"] = trees.unflatten(
                {
                    path: read[path] if self._reads(f"aligner/{path}") else leaf
                    for path, leaf in made.items()
                }
            )
        if self.adapters.rank:
            params[ADAPTERS] = self._adapters(boxed, layout)
        return params

    def _part(
        self, name: str, boxed: Params, bundle: bundle_lib.Bundle, layout: place.Layout
    ) -> Params:
        """One part's initial values, or only their places if files bring them all.

        Compiling an initialiser takes longer than reading the weights that replace it.
        """
        if self._brings(name, {name: boxed}):
            shapes = place.unbox(boxed)
            return jax.tree.map(
                lambda leaf, sharding: jax.ShapeDtypeStruct(
                    leaf.shape, leaf.dtype, sharding=sharding
                ),
                shapes,
                layout.shardings(boxed),
            )

        def fresh(seed: Array) -> Params:
            return bundle.init_part(name, seed)

        return place.init(layout, fresh, self.seed)

    def _brings(self, name: str, boxed: Params) -> bool:
        """Whether `init_from` has all of a part's parameters."""
        paths = trees.flatten(place.unbox(boxed.get(name, {})))
        return bool(paths) and all(self._reads(f"{name}/{path}") for path in paths)

    def _reads(self, path: str) -> bool:
        """Whether `init_from` has this parameter."""
        given = tuple(f"{prefix.rstrip('/')}/" for prefix in self.init_from if prefix)
        return "" in self.init_from or path.startswith(given)

    def _adapters(self, boxed: Params, layout: place.Layout) -> Params:
        chosen = self.adapters

        def fresh(seed: Array) -> Params:
            key = rng.stream(seed, "init/lora")
            return lora.init(boxed, chosen.patterns, chosen.rank, key)

        return place.init(layout, fresh, self.seed)


def adapted(params: Params, adapters: Lora) -> Params:
    """The parts, with the adapters' factors beside the kernels they adapt."""
    return _without_branch(params, adapters, lora.attach)


def merged(params: Params, adapters: Lora) -> Params:
    """The parts in the model's own shapes, the adapters added to their kernels."""
    return _without_branch(params, adapters, lora.merge)


def _without_branch(
    params: Params, adapters: Lora, join: Callable[[Params, Params, float], Params]
) -> Params:
    if ADAPTERS not in params:
        return params
    parts = {name: tree for name, tree in params.items() if name != ADAPTERS}
    return join(parts, params[ADAPTERS], adapters.alpha / adapters.rank)


def _from_mt5(params: Params, how: str) -> Params:
    """The aligner with mT5's weights in it, placed as it was."""
    lacking = [name for name in ("mt5", "aligner") if name not in params]
    if lacking:
        raise BridgeError(
            f"aligner_init {how!r} puts mT5's weights into the aligner, and this model"
            f' has no part {" and no part ".join(lacking)}; use aligner_init="fresh"'
        )
    made = initialise.from_mt5(params["mt5"], params["aligner"], how)
    # Copies: the step donates its parameters, and a buffer can be given away once.
    return jax.tree.map(
        lambda new, old: jax.device_put(jnp.copy(new), old.sharding),
        made,
        params["aligner"],
    )
