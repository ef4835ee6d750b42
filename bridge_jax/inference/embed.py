"""Pictures and captions to vectors of length 1 that can be compared by dot product."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from bridge_jax.core import log, rng, trees
from bridge_jax.core.types import Array, Params
from bridge_jax.data import chat
from bridge_jax.inference import batching, inputs, opening
from bridge_jax.inference.engine import Engine
from bridge_jax.inference.inputs import Picture
from bridge_jax.models import bundle as bundle_lib
from bridge_jax.models import view as view_lib

PARTS = ("vlm", "projector", "aligner", "retrieval")
_ASKED = {"image": "visual", "text": "caption"}  # tokens of a row that are read
_STEP = 16  # lengths are multiples of this: most captions have no more tokens
_SAMPLE = 16  # values of each parameter that the fingerprint reads


def images(engine: Engine, params: Params, values: Sequence[Any]) -> np.ndarray:
    """float32 [N, E] of pictures; see `model.Model.embed`."""
    engine.need("embed", *PARTS)
    pictures = inputs.pictures(values, engine.processor)
    rows = [engine.processor.look(picture.grid) for picture in pictures]
    return _vectors(engine, params, "image", rows, [[one] for one in pictures])


def texts(engine: Engine, params: Params, values: Sequence[str]) -> np.ndarray:
    """float32 [N, E] of texts; see `model.Model.embed`."""
    engine.need("embed", *PARTS)
    rows = [engine.processor.say(text) for text in inputs.texts(values, "text")]
    sizes = [len(row.tokens) for row in rows]
    inputs.within(sizes, engine.limits.max_context, "text")
    return _vectors(engine, params, "text", rows, [[] for _ in rows])


def embedding(
    bundle: bundle_lib.Bundle,
    params: Params,
    batch: Mapping[str, Any],
    shared: Mapping[str, Any],
    *,
    modality: str,
) -> Float[Array, "B E"]:
    """Program: as training computes it, without dropout. float32 [B, E].

    Args:
      batch: vlm_{modality}, {modality}_index and {modality}_mask of `models.view`.
      shared: `opening` if rows begin with the same, read once: then batch has the rest.
    """
    batch = dict(batch)
    if begun := shared.get("opening"):
        states = opening.hidden(bundle, params, batch[f"vlm_{modality}"], begun)
        index = batch[f"{modality}_index"][..., None]
        batch[f"{modality}_states"] = jnp.take_along_axis(states, index, axis=1)
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
    rows: Sequence[chat.Row],
    pictures: Sequence[Sequence[Picture]],
) -> np.ndarray:
    """Of rows with their pictures, one or none each."""
    rows = [opening.until(row, _ASKED[modality]) for row in rows]
    same = opening.alike(rows, _ASKED[modality])
    sizes = [sum(one.size for one in some) for some in pictures]
    order = batching.by_size(
        [(size, len(row.tokens)) for size, row in zip(sizes, rows, strict=True)]
    )
    found: dict[int, np.ndarray] = {}
    chunks = batching.chunks(order, engine.limits.rows, engine.parts)
    for chunk in log.progress(chunks, f"embedding {modality}s"):
        chosen = [(rows[i], pictures[i]) for i in chunk.indices]
        batch, shared = _batch(engine, modality, chosen, same)
        made = engine.run(embedding, params, batch, shared, modality=modality)
        found |= dict(zip(chunk.real, np.asarray(made)))
    return np.stack([found[i] for i in range(len(rows))]).astype(np.float32)


def _batch(
    engine: Engine,
    modality: str,
    chosen: Sequence[tuple[chat.Row, Sequence[Picture]]],
    same: int,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What `embedding` reads of rows that have their first `same` tokens in common."""
    processor = engine.processor
    own = max(len(row.tokens) for row, _ in chosen) - same
    if own > opening.LONGEST:
        own, same = own + same, 0
    length = batching.length_bucket(own, _STEP)
    size = max(sum(one.size for one in some) for _, some in chosen)
    patches = batching.power_bucket(size, processor.layout.unit) if size else 0
    made = []
    for row, some in chosen:
        shown = [one.patches() for one in some]
        vlm, *_ = processor.vlm([row], shown, same + length, patches)
        asked = getattr(row, _ASKED[modality])[same:]
        index, mask = processor.memory(asked, length)
        made.append((vlm, {f"{modality}_index": index, f"{modality}_mask": mask}))
    vlm, batch = batching.stack(made)
    vlm, begun = opening.split(vlm, same)
    shared = {"opening": begun} if same else {}
    return batch | {f"vlm_{modality}": vlm}, shared
