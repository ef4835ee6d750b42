"""What visual tokens say, in words: the interpretation of LangBridge.

B pictures of N visual tokens, W words.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bridge_jax.core import log
from bridge_jax.core.errors import BridgeError
from bridge_jax.core.types import Params
from bridge_jax.data import mrope, rows
from bridge_jax.inference import batching, inputs
from bridge_jax.inference.engine import Engine
from bridge_jax.models import bundle as bundle_lib

LONGEST = 256  # words that a curve goes up to
FAMILY = "llava"


@dataclasses.dataclass(frozen=True)
class Explanation:
    """The words of one picture's N visual tokens, in reading order.

    Attributes:
      pixels: uint8 [F, H, W, 3], what the tower was shown.
      grid: (F, rows, columns) of visual tokens.
      kind: "coefficients", or "cosines" of a connector that combines no words.
      words: for each token the `top` words of the largest values, largest first.
      values: float32 [N, top], their values.
      entropy: float32 [N], in nats, of the shares that words have of all a token's
        absolute values.
      shares: float32 [K], what the k heaviest words have together, mean of the tokens.
    """

    pixels: np.ndarray
    grid: tuple[int, int, int]
    kind: str
    words: tuple[tuple[str, ...], ...]
    values: np.ndarray
    entropy: np.ndarray
    shares: np.ndarray


def explain(
    engine: Engine, params: Params, images: Sequence[Any], top: int
) -> list[Explanation]:
    """See `Model.explain`."""
    engine.need("explain", "vlm")
    part = engine.bundle["vlm"]
    if part.family != FAMILY:
        raise BridgeError(
            f"this model cannot explain: its vlm is {part.family}, and a connector's"
            f" words are told of {FAMILY}"
        )
    engine.need_eyes()
    combines = part.config.connector == "langbridge"
    ids = part.config.words if combines else range(part.config.llm.vocab_size)
    inputs.positive(top, "top")
    if top > len(ids):
        raise BridgeError(f"top {top} is more than the {len(ids)} words there are")
    processor = engine.processor
    pictures = inputs.pictures(images, processor)
    count = max(picture.size for picture in pictures)
    size = batching.power_bucket(count, processor.layout.unit)
    static = {"top": top, "longest": min(LONGEST, len(ids))}
    found: list[Explanation] = []
    chunks = batching.chunks(range(len(pictures)), engine.limits.rows, engine.parts)
    merge = processor.config.merge
    for chunk in log.progress(chunks, "explaining"):
        seen = [
            rows.vision([pictures[i].patches()], size, processor.patch_width, merge)
            for i in chunk.indices
        ]
        made = engine.run(combined, params, batching.stack(seen), {}, **static)
        for i, numbers, values, entropy, shares in zip(chunk.real, *made, strict=False):
            real = mrope.visual_length(pictures[i].grid, merge)
            tokens = np.asarray(ids)[np.asarray(numbers)[:real]]
            frames, height, width = pictures[i].grid
            found.append(
                Explanation(
                    pixels=pictures[i].pixels,
                    grid=(frames, height // merge, width // merge),
                    kind="coefficients" if combines else "cosines",
                    words=tuple(_texts(processor.llm, row) for row in tokens),
                    values=np.asarray(values)[:real],
                    entropy=np.asarray(entropy)[:real],
                    shares=np.asarray(shares)[:real].mean(axis=0),
                )
            )
    return found


def combined(
    bundle: bundle_lib.Bundle,
    params: Params,
    batch: dict[str, jax.Array],
    shared: dict[str, jax.Array],
    *,
    top: int,
    longest: int,
) -> tuple[jax.Array, ...]:
    """Program: (numbers of words [B, N, top], values, entropy [B, N], shares
    [B, N, longest] of the k heaviest words together)."""
    del shared
    found = bundle.apply("vlm", params, **batch, method="affinities")
    values, numbers = jax.lax.top_k(found, top)
    size = jnp.abs(found)
    share = size / jnp.maximum(size.sum(axis=-1, keepdims=True), 1e-30)
    entropy = jax.scipy.special.entr(share).sum(axis=-1)
    heaviest = jnp.cumsum(jax.lax.top_k(share, longest)[0], axis=-1)
    return numbers, values, entropy, heaviest


def _texts(tokenizer: Any, ids: np.ndarray) -> tuple[str, ...]:
    return tuple(tokenizer.decode([i], skip_special=False) for i in ids)
