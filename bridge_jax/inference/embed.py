"""Pictures and captions to vectors of length 1 that can be compared by dot product."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from bridge_jax.core import log, rng, trees
from bridge_jax.core.types import Array, Params
from bridge_jax.data import chat
from bridge_jax.inference import batching, inputs
from bridge_jax.inference.drawing import edit
from bridge_jax.inference.engine import Engine
from bridge_jax.inference.inputs import Picture
from bridge_jax.models import bundle as bundle_lib
from bridge_jax.models import view as view_lib

PARTS = ("vlm", "projector", "aligner", "retrieval")
_SAMPLE = 16  # values of each parameter that the fingerprint reads


def images(engine: Engine, params: Params, values: Sequence[Any]) -> np.ndarray:
    """float32 [N, E] of pictures; see `model.Model.embed`."""
    engine.need("embed", *PARTS)
    pictures = inputs.pictures(values, engine.processor)
    sizes = [picture.size for picture in pictures]

    def rows(chosen: Sequence[int]) -> list[dict[str, Any]]:
        some = [pictures[i] for i in chosen]
        shape = edit.seen_size(engine.processor, some)
        return [_image_row(engine, picture, *shape) for picture in some]

    return _vectors(engine, params, "image", rows, sizes)


def texts(engine: Engine, params: Params, values: Sequence[str]) -> np.ndarray:
    """float32 [N, E] of texts; see `model.Model.embed`."""
    engine.need("embed", *PARTS)
    said = [engine.processor.say(text) for text in inputs.texts(values, "text")]
    sizes = [len(row.tokens) for row in said]
    inputs.within(sizes, engine.limits.max_context, "text")

    def rows(chosen: Sequence[int]) -> list[dict[str, Any]]:
        length = batching.length_bucket(max(sizes[i] for i in chosen))
        return [_text_row(engine, said[i], length) for i in chosen]

    return _vectors(engine, params, "text", rows, sizes)


def embedding(
    bundle: bundle_lib.Bundle,
    params: Params,
    batch: Mapping[str, Any],
    shared: Mapping[str, Any],
    *,
    modality: str,
) -> Float[Array, "B E"]:
    """Program: as training computes it, without dropout. float32 [B, E]."""
    del shared
    streams = rng.Streams(0, 0)
    seen = view_lib.View(bundle, params, batch, rngs=streams, step=0, train=False)
    return seen.embedding(modality)


def fingerprint(params: Params, parts: Sequence[str] = PARTS) -> str:
    """What tells vectors of different models apart: hex digits.

    Reads a few values of every parameter that an embedding depends on, or of other
    parts; training changes all of them, and a full hash of a large model would take a
    minute.
    """
    digest = hashlib.sha256()
    used = trees.flatten({name: params[name] for name in parts if name in params})
    first = jax.device_get(_first(used))
    for path, leaf in sorted(used.items()):
        digest.update(f"{path}{leaf.shape}".encode())
        digest.update(first[path].tobytes())
    return digest.hexdigest()[:16]


@jax.jit
def _first(leaves: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """One program; outside of it each shape would be two of its own."""
    return {
        path: leaf.ravel()[:_SAMPLE].astype(np.float32) for path, leaf in leaves.items()
    }


def _vectors(
    engine: Engine,
    params: Params,
    modality: str,
    make_rows: Callable[[Sequence[int]], list[dict[str, Any]]],
    sizes: Sequence[int],
) -> np.ndarray:
    found: dict[int, np.ndarray] = {}
    order = batching.by_size(sizes)
    chunks = batching.chunks(order, engine.limits.rows, engine.parts)
    for chunk in log.progress(chunks, f"embedding {modality}s"):
        batch = batching.stack(make_rows(chunk.indices))
        made = engine.run(embedding, params, batch, {}, modality=modality)
        found |= dict(zip(chunk.real, np.asarray(made)))
    return np.stack([found[i] for i in range(len(sizes))]).astype(np.float32)


def _image_row(
    engine: Engine, picture: Picture, length: int, num_patches: int
) -> dict[str, Any]:
    vlm, index, mask = engine.processor.seen(picture.patches(), length, num_patches)
    return {"vlm_image": vlm, "image_index": index, "image_mask": mask}


def _text_row(engine: Engine, row: chat.Row, length: int) -> dict[str, Any]:
    vlm, _, marked = engine.processor.vlm([row], [], length, 0)
    index, mask = engine.processor.memory(marked, length)
    return {"vlm_text": vlm, "text_index": index, "text_mask": mask}
