"""Stacks of blocks: one after another or scanned, and what the backward pass keeps.

Parameters are one subtree a layer ("layers_0", "layers_1", ...) whichever way a stack
runs, so a checkpoint of one way runs the other. Scanned, the program stacks the layers'
parameters as it starts: that costs a copy of the (sharded) kernels in the dtype of
compute, and a program of 80 layers is as small, and compiles as fast, as one of few.
One after another they need no copy; a layer of each kind is traced then, too, and the
rest are written out from it, which leaves only the compiler more to do.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.errors import FlaxError

from bridge_jax.core.errors import BridgeError
from bridge_jax.core.types import dtype as dtype_of
from bridge_jax.layers import outline
from bridge_jax.layers.linear import LOW_RANK

_kept = jax.checkpoint_policies


def _attention(primitive: Any, *_: Any, **__: Any) -> bool:
    """What cuDNN's attention gives: small, and costly to make again."""
    return primitive.name == "dot_product_attention_fwd_wrapper"


POLICIES: dict[str, Any] = {
    "none": _kept.everything_saveable,
    # Results of matrix products with parameters; the rest is made again.
    "dots": _kept.save_from_both_policies(
        _kept.checkpoint_dots_with_no_batch_dims, _attention
    ),
    # The same, kept in the memory of the host.
    "offload": _kept.offload_dot_with_no_batch_dims("device", "pinned_host"),
    # Nothing but each block's input.
    "full": _kept.nothing_saveable,
}

_KERNELS = ("kernel", *LOW_RANK)

Step = Callable[[Callable[..., Any], Any, Any], tuple[Any, Any]]


def problems(remat: str) -> list[str]:
    """What is wrong with the name of a policy, for a config's own list."""
    if remat in POLICIES:
        return []
    return [f"remat {remat!r} must be one of {', '.join(POLICIES)}"]


def remat(block: type[nn.Module], policy: str, scan: bool, static: Sequence[int] = ()):
    """`block`, its backward pass keeping what the policy of that name keeps.

    Args:
      scan: whether `fold` will scan it.
      static: which arguments of its call (self is 0) are Python values.

    Raises:
      BridgeError: no such policy.
    """
    if wrong := problems(policy):
        raise BridgeError("; ".join(wrong))
    if policy == "none":
        return block
    return nn.remat(
        block,
        # A loop's body stands alone: nothing there could be merged with its twin.
        prevent_cse=not scan,
        policy=POLICIES[policy],
        static_argnums=tuple(static),
    )


def fold(
    step: Step,
    layers: Sequence[nn.Module],
    x: Any,
    inputs: Any = None,
    *,
    scan: bool = False,
    dtype: str = "float32",
    rngs: dict[str, jax.Array] | None = None,
) -> tuple[Any, Any]:
    """Carry `x` through bound layers: x, output = step(layer, x, input) for each.

    Args:
      step: calls `layer` once, as one calls a bound module.
      x: a tree of arrays whose shapes no layer changes.
      inputs: one for each layer, stacked or listed; None for none.
      scan: compile each repeated pattern of layers once. Layers of different kinds
        are cut into as few different blocks as can be.
      dtype: of compute; kernels are cast to it before they are stacked, as `Dense`
        would cast them.
      rngs: keys, of which each layer gets its own, the same whichever way they run;
        where variables are mutable (to capture what happens in layers, for instance),
        nothing is scanned and layers draw from their module's.

    Returns:
      The last x and the outputs: stacked where scanned, else listed.

    Raises:
      ValueError: inputs or outputs where scanned layers are not all alike.
    """
    if not layers:
        return x, inputs if inputs is not None else []
    if layers[0].is_initializing() and outline.is_wanted():
        return _one_of_each_kind(step, layers, x, inputs)
    keys = _split(rngs or {}, len(layers))
    if not scan or layers[0].scope.mutable:
        return _one_after_another(step, layers, x, inputs, keys)
    modules, params = zip(*map(_unbound, layers), strict=True)
    params = [_cast_kernels(one, dtype_of(dtype)) for one in params]
    kinds = [
        (_kind(module), jax.tree.structure(one))
        for module, one in zip(modules, params, strict=True)
    ]
    parts = patterns(kinds)
    alike = parts == [(1, len(layers))]
    if inputs is not None and not alike:
        raise ValueError("a scan with inputs needs layers that are all alike")
    start, outputs = 0, None
    for period, repeats in parts:
        places = range(start, start + period * repeats)
        body = functools.partial(_body, step, modules[start : start + period])
        stacked = (
            _stack([params[i] for i in places], period),
            _stack([keys[i] for i in places], period),
        )
        x, outputs = jax.lax.scan(body, x, (*stacked, inputs), length=repeats)
        start = places.stop
    if jax.tree.leaves(outputs) and not alike:
        raise ValueError("a scan with outputs needs layers that are all alike")
    return x, outputs


def patterns(kinds: Sequence[Any]) -> list[tuple[int, int]]:
    """Cut a row of kinds into (period, repeats) with the smallest sum of periods.

    "abababcc" is (2, 3), (1, 2). Among equal sums the fewest parts win.
    """
    best: list[tuple[int, int, list[tuple[int, int]]]] = [(0, 0, [])]
    for stop in range(1, len(kinds) + 1):
        found = []
        for start in range(stop):
            cost, count, before = best[start]
            period = _period(kinds[start:stop])
            part = (period, (stop - start) // period)
            found.append((cost + period, count + 1, [*before, part]))
        best.append(min(found, key=lambda one: one[:2]))
    return best[-1][2]


def _period(kinds: Sequence[Any]) -> int:
    """The smallest p such that kinds are a whole number of repeats of the first p."""
    for period in range(1, len(kinds) + 1):
        if len(kinds) % period == 0 and all(
            kinds[i] == kinds[i - period] for i in range(period, len(kinds))
        ):
            return period
    raise ValueError("no kinds")


def _one_after_another(step: Step, layers, x, inputs, keys):
    call = _once_a_kind(step)
    outputs = []
    for i, layer in enumerate(layers):
        x, output = call(layer, x, None if inputs is None else inputs[i], keys[i])
        outputs.append(output)
    return x, outputs


def _once_a_kind(step: Step) -> Callable[..., tuple[Any, Any]]:
    """`step` of a layer, of which each kind is traced once and then only repeated.

    Repeated in place: the program is that of layers traced one by one. Run eagerly,
    every layer runs, as whoever does that wants to see it.
    """
    traced: list[tuple[Any, Callable[..., tuple[Any, Any]]]] = []

    def call(layer, x, entry, key):
        if layer.scope.mutable:  # what is made or kept, its own scope must see
            return step(layer, x, entry)
        module, params = _unbound(layer)
        if not any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(x)):
            with _within(layer):
                return _alone(step, module, params, x, entry, key)
        kind = _kind(module)
        repeat = next((known for other, known in traced if other == kind), None)
        if repeat is None:
            repeat = jax.jit(functools.partial(_alone, step, module), inline=True)
            traced.append((kind, repeat))
        with _within(layer):
            return repeat(params, x, entry, key)

    return call


@contextlib.contextmanager
def _within(layer: nn.Module) -> Iterator[None]:
    """Profiles, the HLO and errors tell which layer it is."""
    try:
        with jax.named_scope(layer.name):
            yield
    except FlaxError as error:
        error.add_note(f"in {layer.scope.path_text}")
        raise


def _alone(step: Step, module: nn.Module, params, x, entry, key):
    return step(functools.partial(module.apply, {"params": params}, rngs=key), x, entry)


def _one_of_each_kind(step: Step, layers, x, inputs):
    """As one after another, in shapes: like layers have the first one's parameters."""
    outputs: list[Any] = []
    met: list[tuple[Any, nn.Module, Any]] = []
    for i, layer in enumerate(layers):
        given = None if inputs is None else inputs[i]
        kind = _kind(layer), jax.tree.map(jnp.shape, (x, given))
        for known, first, result in met:
            if known == kind:
                _give(first.variables, layer)
                x, output = result
                break
        else:
            x, output = step(layer, x, given)
            met.append((kind, layer, (x, output)))
        outputs.append(output)
    return x, outputs


def _give(variables: Any, layer: nn.Module) -> None:
    for collection, tree in variables.items():
        for name, value in tree.items():
            layer.put_variable(collection, name, value)


def _body(step: Step, modules, x, given):
    """One repeat of a pattern: its layers one after another."""
    params, keys, entry = given
    output = None
    for module, own, key in zip(modules, params, keys, strict=True):
        x, output = _alone(step, module, own, x, entry, key)
    return x, output


def _unbound(layer: nn.Module) -> tuple[nn.Module, Any]:
    module, variables = layer.unbind()
    return module, variables.get("params", {})


def _kind(module: nn.Module) -> Any:
    fields = module.__dataclass_fields__
    own = sorted(name for name in fields if name not in ("parent", "name"))
    return type(module), tuple((name, getattr(module, name)) for name in own)


def _cast_kernels(params: Any, dtype: Any) -> Any:
    def cast(path, leaf):
        return leaf.astype(dtype) if path[-1].key in _KERNELS else leaf

    return jax.tree_util.tree_map_with_path(cast, params)


def _split(rngs: dict[str, jax.Array], count: int) -> list[dict[str, jax.Array]]:
    """One dict of keys for each layer."""
    split = {name: jax.random.split(key, count) for name, key in rngs.items()}
    return [{name: keys[i] for name, keys in split.items()} for i in range(count)]


def _stack(trees: Sequence[Any], period: int) -> list[Any]:
    """Trees of each place in the pattern, stacked over the repeats."""
    return [
        jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees[place::period])
        for place in range(period)
    ]
