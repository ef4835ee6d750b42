"""The one training step: loss, exact accumulation, update, skip if it is no good."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from bridge_jax.core import flops, multipliers, rng, term, trees
from bridge_jax.core.errors import BridgeError
from bridge_jax.core.types import Array, Params
from bridge_jax.sharding.place import Layout
from bridge_jax.train import steady
from bridge_jax.train.optim import Optimizer
from bridge_jax.train.state import TrainState

Batch = Any  # nested dict of global arrays, leading axis the samples
Figures = dict[str, term.Pair]  # what a step reports: name -> (sum, weight)
# The vision tower is told apart from the language model it is a part of.
VISION = "vision"
OPTIMIZER = "optimizer"
LossFn = Callable[[Params, Batch, rng.Streams, Array], term.Weighted]


class Step:
    """state, batch -> state, figures; compiled once a batch shape.

    The state given is donated. Sums over the batch axis are global, because the batch
    is one array over the mesh.
    """

    def __init__(
        self,
        loss_fn: LossFn,
        optimizer: Optimizer,
        layout: Layout,
        accumulate: int = 1,
        matmul_precision: str = "",
    ):
        """loss_fn(params, batch, rngs, step) -> name -> (coefficient, Term).

        rngs["name"] is a key; any name will do. `accumulate` micro-batches are
        computed one after the other and give the gradient of the whole batch.
        `matmul_precision` is jax's of that name, for products of float32; "" leaves it.
        """
        self.layout = layout
        self.count: flops.Count | None = None  # of a whole step, once compiled
        self.traces = 0
        self.trainable = optimizer.trainable
        self.optimizer = optimizer
        self._loss_fn = loss_fn
        self._accumulate = accumulate
        self._precision = matmul_precision
        self._compiled: dict[Any, jax.stages.Compiled] = {}

    def __call__(self, state: TrainState, batch: Batch) -> tuple[TrainState, Figures]:
        return self.compile(state, batch)(state, batch)

    def compile(self, state: TrainState, batch: Batch) -> jax.stages.Compiled:
        """The program for batches of this shape."""
        leaves, structure = jax.tree.flatten(batch)
        key = structure, tuple((leaf.shape, leaf.dtype) for leaf in leaves)
        if key not in self._compiled:
            with self.layout.scope():
                traced = self.trace(state, batch)
                chosen = multipliers.options(traced.jaxpr)
                self._compiled[key] = traced.lower().compile(compiler_options=chosen)
        return self._compiled[key]

    def trace(self, state: TrainState, batch: Batch) -> Any:
        """What `compile` lowers, counted on the way; arrays or their shapes."""
        where = jax.tree.map(lambda leaf: leaf.sharding, state)
        program = jax.jit(
            self._run,
            in_shardings=(where, self.layout.batch_sharding(batch)),
            out_shardings=(where, self.layout.replicated),
            donate_argnums=0,
        )
        precision = self._precision or jax.config.jax_default_matmul_precision
        with self.layout.scope(), jax.default_matmul_precision(precision):
            traced = program.trace(state, batch)
        parts = (VISION, *state.params)
        self.count = flops.count(traced.jaxpr, parts, without=(OPTIMIZER,))
        return traced

    @property
    def flops(self) -> float:
        """Of the model, in one step on one device; compile first."""
        assert self.count is not None
        return self.count.model / self.layout.mesh.size

    def _run(self, state: TrainState, batch: Batch) -> tuple[TrainState, Figures]:
        self.traces += 1
        optimizer = self.optimizer
        trainable, frozen = trees.partition(state.params, optimizer.trainable)

        def loss(
            trainable: Params,
            batch: Batch,
            part: Array | None,
            weights: Mapping[str, Array] | None = None,
        ) -> tuple[Array, tuple[Array, Figures]]:
            terms = self._loss_fn(
                trees.combine(trainable, frozen),
                batch,
                rng.Streams(state.seed, state.step, part),
                state.step,
            )
            if self._accumulate > 1:
                _refuse_coupled(terms, self._accumulate)
            value = term.total(terms, weights)
            return value, (value, term.summary(terms))

        if self._accumulate == 1:
            gradient = jax.grad(loss, has_aux=True)
            gradients, (value, figures) = gradient(trainable, batch, None)
        else:
            gradients, value, figures = _accumulated(
                loss, trainable, batch, self._accumulate
            )
        return _updated(optimizer, state, trainable, gradients, value, figures)


def _accumulated(
    loss: Callable[..., Any], trainable: Params, batch: Batch, parts: int
) -> tuple[Params, Array, Figures]:
    """Gradient, loss and figures of the whole batch, one micro-batch at a time.

    The weights of the whole batch come first. They do not depend on parameters, so
    the compiler leaves the model out of that pass; with them as divisors, losses and
    gradients of the micro-batches simply add up.
    """
    micro = jax.tree.map(lambda leaf: _split(leaf, parts), batch)
    order = jnp.arange(parts)

    def weigh(_: None, item: tuple[Array, Batch]) -> tuple[None, Figures]:
        part, batch = item
        figures = loss(trainable, batch, part)[1][1]
        return None, {name: weight for name, (_, weight) in figures.items()}

    _, weights = jax.lax.scan(weigh, None, (order, micro))
    weights = jax.tree.map(lambda leaf: leaf.sum(0), weights)

    def one(item: tuple[Array, Batch]) -> tuple[Params, tuple[Array, Figures]]:
        part, batch = item
        gradient = jax.grad(loss, has_aux=True)
        gradients, figures = gradient(trainable, batch, part, weights)
        # Sums of bfloat16 forget what is small.
        return steady.wide(gradients), figures

    def add(total: Any, item: tuple[Array, Batch]) -> tuple[Any, None]:
        return jax.tree.map(jnp.add, total, one(item)), None

    shapes = jax.eval_shape(one, jax.tree.map(lambda leaf: leaf[0], (order, micro)))
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    (gradients, (value, figures)), _ = jax.lax.scan(add, zeros, (order, micro))
    return gradients, value, figures


def _split(leaf: Array, parts: int) -> Array:
    """[B, ...] -> [parts, B / parts, ...], micro-batch i being rows i, i + parts, ...

    Strided and not contiguous, so that each device finds its share of every
    micro-batch among its own rows.
    """
    if leaf.ndim == 0:
        return jnp.broadcast_to(leaf[None], (parts,))
    if leaf.shape[0] % parts:
        raise BridgeError(
            f"a batch of {leaf.shape[0]} does not split into accumulate={parts}"
            f" micro-batches; make it a multiple of {parts}"
        )
    shape = (leaf.shape[0] // parts, parts, *leaf.shape[1:])
    return jnp.moveaxis(leaf.reshape(shape), 1, 0)


def _updated(
    optimizer: Optimizer,
    state: TrainState,
    trainable: Params,
    gradients: Params,
    loss: Array,
    figures: Figures,
) -> tuple[TrainState, Figures]:
    gradients = steady.wide(gradients)
    norm = optax.tree.norm(gradients)
    finite = jnp.isfinite(loss) & jnp.isfinite(norm)
    good, norms = finite, state.norms
    if norms is not None:
        good = finite & ~optimizer.spikes.is_spike(norms, norm)
        norms = optimizer.spikes.remember(norms, norm, state.step - state.skipped)
    with jax.named_scope(OPTIMIZER):
        updates, opt_state = optimizer.transform.update(
            gradients, state.opt_state, trainable, good=good
        )
    new = optax.apply_updates(trainable, updates)
    new = steady.select(good, new, trainable)
    norms = steady.select(good, norms, state.norms)
    ema = _averaged(optimizer, state, new, good)
    one = jnp.ones((), jnp.float32)
    rate = optimizer.schedule(state.step - state.skipped)
    figures = {"loss": (loss, one), **figures, "gradient_norm": (norm, one)}
    figures["learning_rate"] = (jnp.asarray(rate, jnp.float32), one)
    # A step that is not finite says nothing but that; one nan would hide its window.
    figures = jax.tree.map(lambda leaf: jnp.where(finite, leaf, 0.0), figures)
    figures["skipped"] = (1.0 - good.astype(jnp.float32), one)
    state = state.replace(
        step=state.step + 1,
        skipped=state.skipped + jnp.where(good, 0, 1),
        params=trees.combine(state.params, new),
        opt_state=opt_state,
        ema=ema,
        norms=norms,
    )
    return state, figures


def _averaged(
    optimizer: Optimizer, state: TrainState, new: Params, good: Array
) -> Params | None:
    if state.ema is None:
        return None
    # Early on the average would mostly be the initialisation: let it forget faster.
    count = (state.step - state.skipped).astype(jnp.float32)
    decay = jnp.minimum(optimizer.ema_decay, (1.0 + count) / (10.0 + count))
    decay = jnp.where(good, decay, 1.0)  # a bad step has nothing to add
    return jax.tree.map(
        lambda average, value: decay * average + (1.0 - decay) * value,
        state.ema,
        new,
    )


def _refuse_coupled(terms: term.Weighted, parts: int) -> None:
    coupled = [name for name, (_, one) in terms.items() if not one.splittable]
    if coupled:
        raise BridgeError(
            f"accumulate={parts} would change {', '.join(coupled)}, which compares the"
            " samples of a batch with each other; set accumulate=1"
        )
