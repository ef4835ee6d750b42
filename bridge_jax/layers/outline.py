"""Initialising for the shapes of parameters alone.

What `init` makes is then never looked at but for names, shapes, dtypes and axes, so
that one layer can stand for all that are like it: see `stack.fold`.
"""

import contextlib
import contextvars
from collections.abc import Iterator

_WANTED = contextvars.ContextVar("outline", default=False)


@contextlib.contextmanager
def wanted() -> Iterator[None]:
    """Within it `init` need not make more than shapes; for `jax.eval_shape`."""
    token = _WANTED.set(True)
    try:
        yield
    finally:
        _WANTED.reset(token)


def is_wanted() -> bool:
    return _WANTED.get()
