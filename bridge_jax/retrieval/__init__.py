"""Find what is nearest among stored embeddings; the index lies on disk and grows.

from bridge_jax import retrieval

index = retrieval.Index.open("index", model.fingerprint)
ids, scores = index.search(model.embed(texts=["a red circle"]), 5)
index.add(model.embed(images=["new.png"]), ["new.png"])
index.remove(["old.png"])
query = retrieval.embedded(model, images=["a.png"], texts=["but red"])
"""

from bridge_jax.retrieval.index import Index
from bridge_jax.retrieval.query import embedded, together

__all__ = ["Index", "embedded", "together"]
