"""One query of several texts and pictures."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from bridge_jax.core.errors import BridgeError


class Embeds(Protocol):
    """What is needed of a model."""

    def embed(self, images: Any = None, texts: Any = None) -> np.ndarray: ...


def embedded(
    model: Embeds, images: Sequence[Any] = (), texts: Sequence[str] = ()
) -> np.ndarray:
    """The embedding of pictures and texts together: float32 [1, E], of length 1.

    It is their sum, scaled to length 1: each has the same weight, and what is nearest
    is near to all of them.

    Raises:
      BridgeError: nothing is given, or what cannot be embedded.
    """
    parts = []
    if len(images):
        parts.append(model.embed(images=list(images)))
    if len(texts):
        parts.append(model.embed(texts=list(texts)))
    if not parts:
        raise BridgeError("a query needs a text or a picture")
    rows = np.concatenate(parts)
    return rows if len(rows) == 1 else together(rows)


def together(rows: np.ndarray) -> np.ndarray:
    """Embeddings [N, E] of a query's parts as one, float32 [1, E], of length 1.

    Raises:
      BridgeError: they add up to nothing.
    """
    whole = rows.sum(axis=0, keepdims=True)
    length = np.linalg.norm(whole)
    if length < 1e-6:
        raise BridgeError("the parts of this query are opposites: ask for one of them")
    return (whole / length).astype(np.float32)
