"""Starting the aligner from mT5's encoder.

`by_role` (default) gives every tensor to the one that plays the same part. `by_name` is
what the reference does: it matches torch names, in which the feed-forward layer moves
from `layer.1` to `layer.2` when a block has cross-attention. There the feed-forward
layer stays random, and mT5's feed-forward norm lands on the cross-attention norm.
"""

from collections.abc import Mapping
from typing import Any

from bridge_jax.core.errors import BridgeError
from bridge_jax.core.weights import flatten, unflatten


def plan(
    mt5_params: Mapping[str, Any], aligner_params: Mapping[str, Any], how: str
) -> dict[str, str]:
    """Aligner path -> mT5 path of every tensor to copy; the others stay fresh.

    Layers that only one of the two has are left out, as is mT5's token table.

    Raises:
      BridgeError: unknown `how`, or shapes that differ (all of them at once).
    """
    if how not in ("by_role", "by_name"):
        raise BridgeError(f"aligner initialisation {how!r}: use 'by_role' or 'by_name'")
    source, target = flatten(mt5_params), flatten(aligner_params)
    copies = {path: path for path in target if path in source}
    if how == "by_name":
        for block in {path.split("/")[0] for path in target if "/cross_norm/" in path}:
            inner = f"{block}/mlp"
            copies = {to: at for to, at in copies.items() if not to.startswith(inner)}
            if f"{block}/mlp_norm/scale" in source:
                copies[f"{block}/cross_norm/scale"] = f"{block}/mlp_norm/scale"
    wrong = [
        f"{to} {tuple(target[to].shape)} from mT5's {tuple(source[at].shape)}"
        for to, at in copies.items()
        if tuple(target[to].shape) != tuple(source[at].shape)
    ]
    if wrong:
        raise BridgeError("aligner and mT5 sizes differ: " + "; ".join(wrong[:20]))
    return copies


def from_mt5(
    mt5_params: Mapping[str, Any],
    aligner_params: Mapping[str, Any],
    how: str = "by_role",
) -> dict[str, Any]:
    """`aligner_params` with mT5's tensors in place; nested dicts, unboxed."""
    source, flat = flatten(mt5_params), flatten(aligner_params)
    for to, at in plan(mt5_params, aligner_params, how).items():
        flat[to] = source[at].astype(flat[to].dtype)
    return unflatten(flat)
