"""OmniBridge, LangBridge and LatentUMM in JAX."""

from typing import Any


def load(path: Any, mesh: Any = None, **options: Any) -> Any:
    """A model that chats, draws, edits and embeds; see `bridge_jax.inference.load`.

    `path` is a folder with weights, a finished work directory or a preset's name.
    """
    # Late: naming the package must not cost an import of jax.
    from bridge_jax.inference import load as room

    return room.load(path, mesh, **options)
