"""OmniBridge, LangBridge and LatentUMM in JAX."""

from typing import Any


def load(path: Any, mesh: Any = None, **options: Any) -> Any:
    """A model that chats, draws, edits and embeds; see `bridge_jax.inference.load`.

    `path` is a folder with weights, a finished work directory or a preset's name.

    >>> import bridge_jax
    >>> model = bridge_jax.load("shapes-tiny")
    >>> sorted(model.engine.bundle.parts)
    ['aligner', 'bert', 'dit', 'mt5', 'projector', 'retrieval', 'vae', 'vlm']
    """
    # Late: naming the package must not cost an import of jax.
    from bridge_jax.inference import load as room

    return room.load(path, mesh, **options)
