"""Pictures of an index that are searched on the page."""

import base64
import os.path
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import images
from bridge_jax.retrieval.query import together
from bridge_jax.serve.pictures import png_bytes

_SIDE = 224  # most pixels along a side of what is shown


class Index(Protocol):
    """An opened `retrieval.Index`."""

    def search(
        self, queries: np.ndarray, k: int
    ) -> tuple[Sequence[Sequence[str]], np.ndarray]: ...


class Shelf:
    """An index, and the pictures that its ids are the paths of."""

    def __init__(self, index: Index):
        self._index = index

    def find(self, query: np.ndarray, k: int) -> list[dict[str, Any]]:
        """The k nearest of a query, best first, small enough to be shown.

        No path leaves the server: a picture's name is its file's.

        Args:
          query: [N, E], embeddings of its parts, which count alike.
        """
        ids, scores = self._index.search(together(query), k)
        return [
            {
                "name": os.path.basename(one),
                "score": float(score),
                "picture": _thumbnail(one),
            }
            for one, score in zip(ids[0], scores[0], strict=True)
        ]


def _thumbnail(path: str) -> str | None:
    """A data URL, or None where the picture is no longer there."""
    try:
        picture = images.open_image(path)
    except BridgeError:
        return None
    height, width = picture.shape[:2]
    scale = min(1.0, _SIDE / max(height, width))
    sides = (max(1, round(side * scale)) for side in (height, width))
    data = png_bytes(images.resize(picture, *sides))
    return f"data:image/png;base64,{base64.b64encode(data).decode('ascii')}"
