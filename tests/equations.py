"""What a program consists of."""

from collections.abc import Iterator
from typing import Any

import jax


def everywhere(program: Any) -> Iterator[Any]:
    """Every equation of a (closed) jaxpr, those of loops and calls once a call."""
    for equation in getattr(program, "jaxpr", program).eqns:
        yield equation
        for inside in jax.tree.leaves(list(equation.params.values())):
            if isinstance(inside, (jax.extend.core.ClosedJaxpr, jax.extend.core.Jaxpr)):
                yield from everywhere(inside)


def count(program: Any, name: str) -> int:
    """How many equations are of the primitive of that name."""
    return sum(one.primitive.name == name for one in everywhere(program))
