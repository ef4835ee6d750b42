"""Several texts and pictures are one query."""

import numpy as np
import pytest
import toy_embedder

from bridge_jax import retrieval
from bridge_jax.core.errors import BridgeError

RED = np.full((4, 4, 3), (255, 0, 0), np.uint8)


def test_a_query_of_both_is_their_sum_of_length_one():
    model = toy_embedder.Embedder()
    text, seen = model.embed(texts=["a"]), model.embed(images=[RED])
    np.testing.assert_array_equal(retrieval.embedded(model, texts=["a"]), text)
    both = retrieval.embedded(model, [RED], ["a"])
    assert both.shape == (1, 8) and both.dtype == np.float32
    whole = text + seen
    np.testing.assert_allclose(both, whole / np.linalg.norm(whole), atol=1e-6)


def test_queries_of_nothing():
    with pytest.raises(BridgeError, match="needs a text or a picture"):
        retrieval.embedded(toy_embedder.Embedder())

    class Opposites:
        def embed(self, images=None, texts=None):
            return np.array([[1.0, 0.0], [-1.0, 0.0]], np.float32)

    with pytest.raises(BridgeError, match="opposites"):
        retrieval.embedded(Opposites(), texts=["a", "b"])
