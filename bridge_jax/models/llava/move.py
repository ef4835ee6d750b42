"""A connector's parameters at another decoder."""

from collections.abc import Mapping

import numpy as np

from bridge_jax.core.errors import BridgeError


def padded(
    connector: Mapping[str, Mapping[str, np.ndarray]], width: int
) -> dict[str, dict[str, np.ndarray]]:
    """An `mlp2x_gelu` for a wider decoder: it says the same, and then zeros.

    Nothing makes that mean anything there: it is what LangBridge is compared with.

    Args:
      connector: {"inner", "outer"}, each with kernel and bias.
      width: of the other decoder's embeddings.

    Raises:
      BridgeError: a narrower decoder, which would cut.
    """
    own = connector["outer"]["bias"].shape[0]
    if width < own:
        raise BridgeError(
            f"a connector of {own} values a token does not fit a decoder of {width}"
        )
    more = width - own
    grown = {
        "inner": {"kernel": ((0, 0), (0, more)), "bias": ((0, more),)},
        "outer": {"kernel": ((0, more), (0, more)), "bias": ((0, more),)},
    }
    return {
        layer: {name: np.pad(connector[layer][name], by) for name, by in sides.items()}
        for layer, sides in grown.items()
    }
