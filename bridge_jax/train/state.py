"""What a run carries from step to step."""

from collections.abc import Callable
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
from jax.sharding import Sharding

from bridge_jax.core import trees
from bridge_jax.core.types import Array, Params
from bridge_jax.sharding import place
from bridge_jax.train.optim import Optimizer


@flax.struct.dataclass
class TrainState:
    """Everything that a checkpoint must hold of the model's side.

    Attributes:
      step: int32 scalar, batches consumed so far.
      skipped: int32 scalar, steps that changed nothing: not finite, spikes, or undone.
      seed: uint32 scalar, root of every random stream of the run.
      params: nested dict, trained and frozen parts.
      opt_state: optax state of the trainable parts only.
      ema: float32 average of the trainable parts, or None.
      norms: float32 [window], latest gradient norms (`spikes.Rule`), or None.
    """

    step: Array
    skipped: Array
    seed: Array
    params: Params
    opt_state: Any
    ema: Params | None
    norms: Array | None = None

    def averaged(self) -> Params:
        """The parameters to use: those averaged where there is an average."""
        if self.ema is None:
            return self.params
        return trees.combine(self.params, self.ema)

    def rest(self) -> dict[str, Any]:
        """The part a checkpoint keeps beside `params` and `ema`."""
        kept = {
            "step": self.step,
            "skipped": self.skipped,
            "seed": self.seed,
            "opt_state": self.opt_state,
        }
        return kept if self.norms is None else kept | {"norms": self.norms}


def create(
    params: Params, optimizer: Optimizer, seed: int, layout: place.Layout
) -> TrainState:
    """The state before the first step; optimiser state lies where its parameter does.

    Takes `params` over: the first step donates them.
    """
    params = _unshared(params)
    fresh = _fresh(optimizer, seed)
    where = _like_params(jax.eval_shape(fresh, params), params, layout)
    made = jax.jit(fresh, out_shardings=where)(params)
    return made.replace(params=params)


def planned(
    params: Params, optimizer: Optimizer, seed: int, layout: place.Layout
) -> TrainState:
    """What `create` would make of parameters that are ShapeDtypeStructs."""
    shapes = jax.eval_shape(_fresh(optimizer, seed), params)
    made = jax.tree.map(
        lambda leaf, where: jax.ShapeDtypeStruct(
            leaf.shape, leaf.dtype, sharding=where
        ),
        shapes,
        _like_params(shapes, params, layout),
    )
    return made.replace(params=params)


def _fresh(optimizer: Optimizer, seed: int) -> Callable[[Params], TrainState]:
    """The state of given parameters, without them."""

    def fresh(params: Params) -> TrainState:
        trainable, _ = trees.partition(params, optimizer.trainable)
        ema = None
        if optimizer.ema_decay:
            # A copy: the same buffer may not be donated twice.
            ema = jax.tree.map(lambda p: jnp.array(p, jnp.float32), trainable)
        return TrainState(
            step=jnp.zeros((), jnp.int32),
            skipped=jnp.zeros((), jnp.int32),
            seed=jnp.full((), seed, jnp.uint32),
            params={},
            opt_state=optimizer.transform.init(trainable),
            ema=ema,
            norms=optimizer.spikes.fresh(),
        )

    return fresh


def _unshared(params: Params) -> Params:
    """Copies of leaves that share memory with an earlier one, as parts initialised
    from each other do: nothing can be donated twice."""
    seen: set[int] = set()

    def own(leaf: Array) -> Array:
        place = leaf.addressable_data(0).unsafe_buffer_pointer()
        if place in seen:
            return jnp.copy(leaf)
        seen.add(place)
        return leaf

    return jax.tree.map(own, params)


def abstract(state: TrainState) -> TrainState:
    """The state's shapes, dtypes and shardings."""
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(
            leaf.shape, leaf.dtype, sharding=leaf.sharding
        ),
        state,
    )


def _like_params(tree: Any, params: Params, layout: place.Layout) -> Any:
    """Sharding of each leaf: that of the parameter whose path ends its own path.

    optax keeps moments in trees of the parameters' structure; whatever has another
    shape (counters, factored moments) is replicated.
    """
    by_path = trees.flatten(params)

    def one(path: Any, leaf: jax.ShapeDtypeStruct) -> Sharding:
        keys = [str(getattr(key, "key", "")) for key in path]
        for start in range(len(keys)):
            param = by_path.get("/".join(keys[start:]))
            if param is not None and param.shape == leaf.shape:
                return param.sharding
        return layout.replicated

    return jax.tree_util.tree_map_with_path(one, tree)
