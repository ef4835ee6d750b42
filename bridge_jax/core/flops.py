"""Counts the arithmetic of a traced program, part by part.

Matrix products and convolutions are counted as 2 x multiplications, loops as often as
they run; everything else is left out, as is usual. Unlike XLA's own analysis, which
counts the body of a loop once and does not exist on every backend, this one does not
depend on how layers are run or on the device.
"""

import dataclasses
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import jax
from jax.interpreters import partial_eval

REST = "rest"
# cuDNN's attention hides its products, of queries, keys and values: two forward, four
# backward (and one again, which does not count, as nothing else of remade scores does).
_ATTENTION = {
    "dot_product_attention_fwd_wrapper": 2.0,
    "dot_product_attention_bwd_wrapper": 4.0,
}
AGAIN = "rematted_computation"  # the scope that jax names so


@dataclasses.dataclass(frozen=True)
class Count:
    """FLOPs over all devices.

    Attributes:
      parts: of each named part, forward and backward; what is in none is the `rest`.
      again: of what rematerialisation computes a second time; not in `parts`.
    """

    parts: dict[str, float]
    again: float

    @property
    def model(self) -> float:
        """What the mathematics needs: the numerator of MFU."""
        return sum(self.parts.values())

    @property
    def hardware(self) -> float:
        """What is computed: the numerator of HFU."""
        return self.model + self.again


def count(program: Any, parts: Sequence[str], without: Sequence[str] = ()) -> Count:
    """Count a program's FLOPs.

    Args:
      program: a closed jaxpr, such as `jax.jit(f).trace(...).jaxpr`.
      parts: names of scopes (`jax.named_scope`, flax modules); of nested ones the
        first named here counts.
      without: scopes that do not count, such as the optimiser's.
    """
    found: Counter[str] = Counter()
    for scopes, flops, _ in _products(_used(program), frozenset(), 1.0):
        if scopes & set(without):
            continue
        named = next((name for name in parts if name in scopes), REST)
        found[AGAIN if AGAIN in scopes else named] += flops
    again = found.pop(AGAIN, 0.0)
    return Count(dict(found), again)


@dataclasses.dataclass(frozen=True)
class Matrices:
    """[rows, inner] by [inner, columns]; `dtype` is of the left one."""

    rows: int
    inner: int
    columns: int
    dtype: Any


def products(program: Any) -> Iterator[tuple[float, Matrices | None]]:
    """FLOPs of every product of a closed jaxpr, and what is multiplied.

    None are stacks of matrices, convolutions and attention.
    """
    for _, flops, matrices in _products(_used(program), frozenset(), 1.0):
        yield flops, matrices


def ends_by_itself(program: Any) -> bool:
    """Whether a closed jaxpr has a loop of whose turns nobody knows how many there are.

    What is in it is counted once.
    """
    return _has(program.jaxpr, "while")


def _has(jaxpr: Any, name: str) -> bool:
    return any(
        equation.primitive.name == name
        or any(_has(one, name) for one in _programs(equation.params))
        for equation in jaxpr.eqns
    )


def _used(program: Any) -> Any:
    """What no output depends on is not computed."""
    jaxpr, outputs = program.jaxpr, [True] * len(program.out_avals)
    return partial_eval.dce_jaxpr(jaxpr, outputs)[0]


def _products(jaxpr: Any, outer: frozenset, times: float) -> Iterator[tuple]:
    """(scopes, FLOPs, matrices as of `products`) of every product in a program."""
    for equation in jaxpr.eqns:
        stack = str(equation.source_info.name_stack)
        scopes = outer | set(re.split(r"[/()]", stack))
        name, params = equation.primitive.name, equation.params
        if name == "dot_general":
            yield scopes, times * _dot(equation), _matrices(equation)
        elif name == "conv_general_dilated":
            yield scopes, times * _convolution(equation), None
        elif name in _ATTENTION:
            yield scopes, times * _ATTENTION[name] * _attention(equation), None
        elif name == "cond":
            # Which branch runs is not known: the most expensive one is counted.
            branches = [
                list(_products(branch.jaxpr, scopes, times))
                for branch in params["branches"]
            ]
            yield from max(branches, key=lambda one: sum(flops for _, flops, _ in one))
        else:
            for inside in _programs(params):
                yield from _products(inside, scopes, times * _turns(name, params))


def _turns(name: str, params: dict[str, Any]) -> float:
    """How often what is inside of an equation runs, over all devices."""
    if name == "scan":
        return params["length"]
    if name == "pallas_call":
        return math.prod(params["grid_mapping"].grid)
    if name == "shard_map":
        return params["mesh"].size
    return 1.0


def _programs(params: dict[str, Any]) -> Iterator[Any]:
    for value in params.values():
        for one in value if isinstance(value, (tuple, list)) else [value]:
            one = one.jaxpr if isinstance(one, jax.extend.core.ClosedJaxpr) else one
            if isinstance(one, jax.extend.core.Jaxpr):
                yield one


def _dot(equation: Any) -> float:
    (contracted, _), _ = equation.params["dimension_numbers"]
    left = equation.invars[0].aval.shape
    out = equation.outvars[0].aval.shape
    return 2.0 * math.prod(out) * math.prod(left[axis] for axis in contracted)


def _matrices(equation: Any) -> Matrices | None:
    (contracted, _), (stacked, _) = equation.params["dimension_numbers"]
    if stacked:
        return None
    left, right = (one.aval for one in equation.invars[:2])
    inner = math.prod(left.shape[axis] for axis in contracted)
    rows, columns = (math.prod(one.shape) // max(inner, 1) for one in (left, right))
    return Matrices(rows, inner, columns, left.dtype)


def _attention(equation: Any) -> float:
    """One product of cuDNN's attention on [B, T, H, D] and [B, S, K, D]."""
    query, key = (one.aval.shape for one in equation.invars[:2])
    batch, length, heads, width = query
    return 2.0 * batch * heads * length * key[1] * width


def _convolution(equation: Any) -> float:
    kernel = equation.invars[1].aval.shape
    channels = kernel[equation.params["dimension_numbers"].rhs_spec[0]]
    # A backward pass may spread its input out with zeros, which cost nothing.
    spread = math.prod(equation.params["lhs_dilation"])
    out = equation.outvars[0].aval.shape
    return 2.0 * math.prod(out) * math.prod(kernel) / channels / spread
