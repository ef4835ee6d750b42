"""Shapes and dtypes of signatures are checked; the other types are left to readers."""

import functools
import inspect
import types
from collections.abc import Callable
from typing import Any, Union, get_args, get_origin

import jaxtyping
from beartype import beartype

_jaxtyped = jaxtyping.jaxtyped


def install(package: str) -> None:
    """Check what is imported of `package` from now on, and no more than that.

    jaxtyping's import hook decorates every function, class and closure, and checks
    every call, which takes its share of tests that trace models again and again. Here
    functions that declare no array are left as they are, and shapes that a function was
    seen to take and to give are not looked at twice.
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


def once_a_shape(function: Callable, typechecker: Any = check) -> Callable:
    """`function`, checked where what it takes or gives has shapes not seen before."""
    checked = _jaxtyped(function, typechecker=typechecker)
    arrays = _arrays(function)
    names = list(inspect.signature(function).parameters)
    places = [i for i, name in enumerate(names) if name in arrays]
    met: dict[Any, set[Any]] = {}  # what was taken -> all that was given for it

    @functools.wraps(function)
    def call(*args, **kwargs):
        takes = (
            tuple(_form(args[i]) for i in places if i < len(args)),
            tuple((k, _form(kwargs[k])) for k in kwargs if k in arrays),
        )
        result = (function if takes in met else checked)(*args, **kwargs)
        if takes in met and _form(result) not in met[takes]:
            again = functools.wraps(function)(lambda *_, **__: result)
            _jaxtyped(again, typechecker=typechecker)(*args, **kwargs)
        met.setdefault(takes, set()).add(_form(result))
        return result

    return call


def _form(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_form, value))
    return getattr(value, "shape", None), getattr(value, "dtype", None)


def _where_arrays_are_declared(*, typechecker: Any) -> Callable:
    def decorate(thing: Any) -> Any:
        if inspect.isclass(thing):  # of which the hook checks what it is made with
            declared = _arrays(thing.__init__)
            return _jaxtyped(thing, typechecker=typechecker) if declared else thing
        return once_a_shape(thing, typechecker) if _arrays(thing) else thing

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
