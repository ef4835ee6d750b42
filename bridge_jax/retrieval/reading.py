"""A saved index, opened: its manifest and its segments, mapped from disk."""

from pathlib import Path

from bridge_jax.core.errors import BridgeError
from bridge_jax.retrieval import folder as folder_lib
from bridge_jax.retrieval import segment as segment_lib
from bridge_jax.retrieval.segment import Segment

Opened = tuple[folder_lib.Manifest, tuple[Segment, ...]]


def read(folder: Path, model: str | None = None) -> Opened:
    """What the index in `folder` is now.

    Args:
      model: fingerprint that it must have been made with.

    Raises:
      BridgeError: no index there, a damaged one, or one of another model.
    """
    manifest = folder_lib.read(folder)
    try:
        segments = mapped(folder, manifest)
    except (OSError, ValueError, KeyError, TypeError, EOFError, IndexError) as error:
        if folder_lib.read(folder) != manifest:  # somebody changed it meanwhile
            return read(folder, model)
        told = str(error) == segment_lib.DISAGREE
        why = str(error) if told else type(error).__name__
        raise folder_lib.damaged(folder, why) from None
    if model is not None and manifest.model != model:
        raise BridgeError(
            f"{folder} was made with another model ({manifest.model or 'unknown'}, this"
            f" is {model}): load that model, or embed again with this one"
        )
    return manifest, segments


def mapped(folder: Path, manifest: folder_lib.Manifest) -> tuple[Segment, ...]:
    """The segments that a manifest names. Raises as `segment.read`."""
    return tuple(
        segment_lib.read(folder, entry, manifest.width) for entry in manifest.segments
    )
