"""What all rows begin with, read once.

A template puts the same tokens before every text and every picture, and a causal model
reads them alike each time. So one row reads these P tokens, and all B go on from what
was kept of them, with T tokens of their own. What stands after the last token that is
asked for is not read at all.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from bridge_jax.core.types import Array, Params
from bridge_jax.data import chat
from bridge_jax.layers import kv_cache
from bridge_jax.models import bundle as bundle_lib
from bridge_jax.models import view as view_lib

LONGEST = 128  # tokens of a row's own; what longer ones gain is a tenth and less
_BY_TOKEN = ("tokens", "segments", "positions", "image_index")


def until(row: chat.Row, asked: str) -> chat.Row:
    """A row up to the last token asked for: those that its field `asked` marks."""
    stop = np.flatnonzero(getattr(row, asked))[-1] + 1
    names = ("tokens", "response", "caption", "visual")
    return dataclasses.replace(
        row, **{name: getattr(row, name)[:stop] for name in names}
    )


def alike(rows: Sequence[chat.Row], asked: str) -> int:
    """P: the first tokens that all rows share, none of them asked for."""
    size = min(int(np.argmax(getattr(row, asked))) for row in rows)
    return min(size, *(in_common(row.tokens, rows[0].tokens) for row in rows))


def in_common(one: np.ndarray, other: np.ndarray) -> int:
    """How many first places of two rows are alike."""
    size = min(len(one), len(other))
    differ = np.flatnonzero(one[:size] != other[:size])
    return int(differ[0]) if len(differ) else size


def split(
    fields: Mapping[str, np.ndarray], size: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Fields of whole rows, divided after their first `size` tokens, P.

    Args:
      fields: of a vlm, tokens [B, P + T] among them.

    Returns:
      The fields of the rest [B, T], and those of what all begin with [1, P].
    """
    there = [name for name in _BY_TOKEN if name in fields]
    rest = dict(fields) | {name: fields[name][..., size:] for name in there}
    shared = {
        name: fields[name][:1, ..., :size] for name in there if name != "image_index"
    }
    return rest, shared


def hidden(
    bundle: bundle_lib.Bundle,
    params: Params,
    fields: Mapping[str, Any],
    shared: Mapping[str, Any],
) -> Float[Array, "B T D"]:
    """The LLM's last states of rows that go on from what all begin with.

    Args:
      fields, shared: from `split`.
    """
    sizes = bundle["vlm"].config
    rows, length = fields["tokens"].shape
    begun = kv_cache.empty(sizes, *shared["tokens"].shape)
    _, out = bundle.apply("vlm", params, **view_lib.as_called(shared), cache=begun)
    begun = out["cache"]
    keys, values = ([layer[0] for layer in kind] for kind in (begun.keys, begun.values))
    cache = kv_cache.resume(keys, values, begun.length, rows, length)
    states, _ = bundle.apply("vlm", params, **view_lib.as_called(fields), cache=cache)
    return states
