"""Rows to pictures in batches: what `generate` and `edit` share.

Pictures of one size, drawn in one way, run together, whatever they were asked among;
what a picture is depends on none of the others.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from bridge_jax.core import log
from bridge_jax.core.types import Params
from bridge_jax.data import processor as processor_lib
from bridge_jax.data import text_encoding
from bridge_jax.inference import batching
from bridge_jax.inference.drawing import paint, sizes
from bridge_jax.inference.drawing.watching import Watch
from bridge_jax.inference.engine import Engine
from bridge_jax.inference.settings import Settings

Row = Mapping[str, Any]


def pictures(
    engine: Engine,
    params: Params,
    make_row: Callable[[int], Row],
    numbers: np.ndarray,
    settings: Sequence[Settings],
    *,
    sources: Sequence[np.ndarray] | None = None,
    watch: Watch | None = None,
    description: str = "drawing",
) -> list[np.ndarray]:
    """Draw `numbers` [N, n] pictures: n of each of N rows.

    Args:
      make_row: number of a row -> its fields for `View`, all rows of equal shapes.
      numbers: random stream of each picture, as from `batching.numbers`.
      settings: of each row; they differ in size and negative prompt alone.
      sources: uint8 [H, W, 3] of each row's size, where their `start` is not 0.
      watch: who looks at the pictures of a batch while they are drawn: of those with
        candidates (`Settings.best_of`) at the first of each.

    Returns:
      uint8 [n, H, W, 3] of each row.
    """
    copies = numbers.shape[1]
    made: dict[int, np.ndarray] = {}
    for chunk in log.progress(_chunks(engine, settings, copies), description):
        asked = [place // copies for place in chunk.indices]
        rows = {i: make_row(i) for i in set(asked)}
        batch, shared = _seen(engine, params, asked, rows, settings)
        batch["numbers"] = numbers.ravel()[list(chunk.indices)]
        if settings[asked[0]].start:
            images = {"images": np.stack([sources[i] for i in asked])}
            batch["source"] = engine.run(paint.encode, params, images, {})
        one = settings[asked[0]]
        if watch is None:
            pixels = engine.run(paint.paint, params, batch, shared, **one.sampling)
        else:
            firsts = [n for n, i in enumerate(chunk.real) if i % one.best_of == 0]
            pixels = watch.painted(engine, params, batch, shared, one, firsts)
        made |= dict(zip(chunk.real, np.asarray(pixels)))
    return [
        np.stack([made[i * copies + copy] for copy in range(copies)])
        for i in range(len(numbers))
    ]


def negatives_fit(
    processor: processor_lib.Processor, settings: Sequence[Settings]
) -> None:
    """Raises BridgeError naming every negative prompt that mT5 cannot read whole."""
    texts = list(dict.fromkeys(one.negative for one in settings))
    text_encoding.encode(processor.mt5, texts, processor.config.t5_length, strict=True)


def _chunks(
    engine: Engine, settings: Sequence[Settings], copies: int
) -> list[batching.Chunk]:
    """Places in the raveled `numbers` that run together."""
    groups: dict[Any, list[int]] = {}
    for i, one in enumerate(settings):
        places = range(i * copies, (i + 1) * copies)
        groups.setdefault(one.size, []).extend(places)
    height, width = sizes.native(engine)
    found = []
    for size, places in groups.items():
        tall, wide = size or (height, width)
        most = engine.limits.images * height * width // max(height * width, tall * wide)
        found += batching.chunks(places, max(1, most), engine.parts)
    return found


def _seen(
    engine: Engine,
    params: Params,
    asked: Sequence[int],
    rows: Mapping[int, Row],
    settings: Sequence[Settings],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What guides the rows of a batch, and what is the same for all of them."""
    one, processor = settings[asked[0]], engine.processor
    nothing = batching.stack([processor.texts("", "")] * engine.parts)
    wanted, unwanted = engine.run(
        paint.conditions,
        params,
        batching.stack([rows[i] for i in asked]),
        {"empty": nothing},
        condition=one.condition,
        mask=one.mask,
    )
    batch, shared = {"condition": wanted}, {"seed": np.uint32(one.seed)}
    if not any(settings[i].negative for i in asked):
        return batch, shared | {"unconditional": unwanted}
    # BERT reads of what is not wanted where it reads of what is.
    texts = [settings[i].negative for i in asked]
    read = [
        processor.texts(text, text if one.bert == "caption" else "") for text in texts
    ]
    batch["unconditional"] = engine.run(paint.against, params, batching.stack(read), {})
    return batch, shared
