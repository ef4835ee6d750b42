"""Shapes and dtypes of signatures are checked; the other types are left to readers."""

import inspect
import types
from collections.abc import Callable
from typing import Any, Union, get_args, get_origin

import jaxtyping
from beartype import beartype

_jaxtyped = jaxtyping.jaxtyped


def install(package: str) -> None:
    """Check what is imported of `package` from now on, and no more than that.

    jaxtyping's import hook decorates every function, class and closure, and so takes a
    tenth of the tests' time; most of them declare no array, and are left as they are.
    """
    jaxtyping.jaxtyped = _where_arrays_are_declared  # which the hook decorates with
    jaxtyping.install_import_hook(package, "shape_checks.check")


def check(function: Callable) -> Callable:
    """Beartype on the array annotations (`Float[Array, "B T D"]`) of `function`.

    Trees of shapes, boxes and tracers pass through signatures that speak of arrays,
    which is how jax is meant to be used.
    """
    kept = _arrays(function)
    if not kept:
        return function
    function.__annotations__ = kept
    return beartype(function)


def _where_arrays_are_declared(*, typechecker: Any) -> Callable:
    def decorate(thing: Any) -> Any:
        # Of a class, the hook checks what a dataclass is made with.
        function = thing.__init__ if inspect.isclass(thing) else thing
        if not _arrays(function):
            return thing
        return _jaxtyped(thing, typechecker=typechecker)

    return decorate


def _arrays(function: Callable) -> dict[str, type]:
    return {
        name: hint
        for name, hint in inspect.get_annotations(function).items()
        if _speaks_of_arrays(hint)
    }


def _speaks_of_arrays(hint: Any) -> bool:
    """Of one (perhaps or None), or of a tuple of them."""
    if isinstance(hint, type) and issubclass(hint, jaxtyping.AbstractArray):
        return True
    if isinstance(hint, types.UnionType) or get_origin(hint) in (tuple, Union):
        return any(map(_speaks_of_arrays, get_args(hint)))
    return False
