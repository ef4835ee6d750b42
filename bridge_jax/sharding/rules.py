"""Logical axis names -> mesh axes, as named tables.

A table is ordered: earlier names take their mesh axes first, and an axis shards one
dimension of an array only. So under `fsdp` the batch of an activation takes "fsdp",
and "embed" takes it in parameters, which have no batch.
"""

import math
from collections.abc import Sequence

from jax.sharding import Mesh, PartitionSpec

from bridge_jax.core.config import suggest
from bridge_jax.core.errors import BridgeError

Rules = tuple[tuple[str, tuple[str, ...]], ...]

# Every logical name a model may use. Names without mesh axes stay whole.
_WHOLE: Rules = tuple(
    (name, ())
    for name in (
        "latent",  # channels of the image latent, embedding widths of small heads
        "queries",  # learned query tokens
        "buckets",  # relative positions
        "patch",  # pixels of a vision or latent patch
        "conv_in",
        "conv_out",
        "norm",
        "layers",  # stacked layers of a scan
        "lora",
    )
)
_BATCH: Rules = (("batch", ("data", "fsdp")),)
_TENSOR: Rules = tuple(
    (name, ("tensor",)) for name in ("mlp", "heads", "kv_heads", "vocab")
)
_SEQUENCE: Rules = (("seq", ("sequence",)),)
_WHOLE_SEQUENCE: Rules = (("seq", ()),)
_EMBED: Rules = (("embed", ("fsdp",)),)
_WHOLE_TENSOR: Rules = tuple((name, ()) for name, _ in _TENSOR)

TABLES: dict[str, Rules] = {
    "dp": (*_BATCH, *_WHOLE_SEQUENCE, *_WHOLE_TENSOR, ("embed", ()), *_WHOLE),
    "fsdp": (*_BATCH, *_WHOLE_SEQUENCE, *_WHOLE_TENSOR, *_EMBED, *_WHOLE),
    "fsdp_sp": (*_BATCH, *_SEQUENCE, *_WHOLE_TENSOR, *_EMBED, *_WHOLE),
    "fsdp_tp": (*_BATCH, *_WHOLE_SEQUENCE, *_TENSOR, *_EMBED, *_WHOLE),
    "fsdp_tp_sp": (*_BATCH, *_SEQUENCE, *_TENSOR, *_EMBED, *_WHOLE),
}


def table(name: str) -> Rules:
    """The table of that name. Raises BridgeError with the valid names."""
    if name not in TABLES:
        raise BridgeError(
            f"no sharding rules {name!r}{suggest(name, TABLES)}; there are"
            f" {', '.join(TABLES)}"
        )
    return TABLES[name]


def resolve(
    names: Sequence[str | None], shape: Sequence[int], rules: Rules, mesh: Mesh
) -> tuple[PartitionSpec, list[str]]:
    """Sharding of one array, and a sentence for each dimension that does not divide.

    Such a dimension stays whole. Raises BridgeError for a name no rule knows.
    """
    order = [name for name, _ in rules]
    for name in names:
        if name is not None and name not in order:
            raise BridgeError(f"unknown logical axis {name!r}{suggest(name, order)}")
    taken: set[str] = set()
    spec: list[tuple[str, ...] | None] = [None] * len(shape)
    problems = []
    for name, axes in rules:
        axes = tuple(a for a in axes if mesh.shape[a] > 1 and a not in taken)
        if name not in names or not axes:
            continue
        position = list(names).index(name)
        parts = _product(mesh, axes)
        if shape[position] % parts:
            problems.append(
                f"axis {name!r} of {shape[position]} does not divide by {parts}"
                f" ({' x '.join(axes)}): kept whole; make it a multiple of {parts}, or"
                f" {' x '.join(axes)} {math.gcd(shape[position], parts)}"
            )
            continue
        taken.update(axes)
        spec[position] = axes
    return PartitionSpec(*spec), problems


def for_linen(rules: Rules) -> tuple[tuple[str, tuple[str, ...] | None], ...]:
    """The table in the form of `flax.linen.logical_axis_rules`."""
    return tuple((name, axes or None) for name, axes in rules)


def _product(mesh: Mesh, axes: Sequence[str]) -> int:
    parts = 1
    for axis in axes:
        parts *= mesh.shape[axis]
    return parts
