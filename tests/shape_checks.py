"""The type checker behind jaxtyping's import hook: shapes and dtypes, nothing else."""

import inspect
from collections.abc import Callable
from typing import Any

import jaxtyping
from beartype import beartype


def check(function: Callable) -> Callable:
    """Beartype on the array annotations (`Float[Array, "B T D"]`) of `function`.

    The others are left to readers: trees of shapes, boxes and tracers pass through
    signatures that speak of arrays, which is how jax is meant to be used.
    """
    kept = {
        name: hint
        for name, hint in inspect.get_annotations(function).items()
        if _is_array_shape(hint)
    }
    if not kept:
        return function
    function.__annotations__ = kept
    return beartype(function)


def _is_array_shape(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, jaxtyping.AbstractArray)
