"""Several candidates for each picture, of which the model keeps the one it reads best.

Who draws can also look. Each candidate is shown to the language model, which is asked
to describe it: its score is how likely the model is to say the very caption that was to
be drawn (natural log-probability of all its words). A wrong color, shape or place makes
that unlikely, so errors of drawing go, as far as the model sees them; a caption that is
wrong itself is drawn as it is.
"""

from collections.abc import Sequence

import numpy as np

from bridge_jax.core.types import Params
from bridge_jax.inference import batching, inputs
from bridge_jax.inference.answering import likelihood
from bridge_jax.inference.drawing import sizes
from bridge_jax.inference.engine import Engine
from bridge_jax.inference.results import Caption
from bridge_jax.inference.settings import Settings


def numbers(names: Sequence[bytes], copies: int, best_of: int) -> np.ndarray:
    """Random streams as of `batching.numbers`: uint32 [N, copies * best_of].

    The candidates of one picture stand side by side. The first of each draws from the
    stream that it would have alone.
    """
    found = batching.numbers(names, copies * best_of)
    by_candidate = found.reshape(len(names), best_of, copies)
    return by_candidate.swapaxes(1, 2).reshape(len(names), copies * best_of)


def check(
    engine: Engine, captions: Sequence[Caption], settings: Sequence[Settings]
) -> None:
    """Raises BridgeError, before anything is drawn, where the model could not look."""
    if settings[0].best_of == 1:
        return
    engine.need("choose the best", "vlm")
    native = sizes.native(engine)
    blank = [np.zeros((*(one.size or native), 3), np.uint8) for one in settings]
    pictures = inputs.pictures(blank, engine.processor)
    rows = likelihood.described(engine, pictures, [one.text for one in captions])
    lengths = [len(one.row.tokens) for one in rows]
    inputs.within(lengths, engine.limits.max_context, "picture with caption")


def kept(
    engine: Engine,
    params: Params,
    drawn: Sequence[np.ndarray],
    captions: Sequence[Caption],
    best_of: int,
) -> list[np.ndarray]:
    """The best candidates; of equals the first.

    Args:
      drawn: of each caption uint8 [copies * best_of, H, W, 3], in the order of
        `numbers`.

    Returns:
      Of each caption uint8 [copies, H, W, 3].
    """
    if best_of == 1:
        return list(drawn)
    shown = [picture for some in drawn for picture in some]
    said = [one.text for one, some in zip(captions, drawn, strict=True) for _ in some]
    pictures = inputs.pictures(shown, engine.processor)
    found = likelihood.of_descriptions(engine, params, pictures, said)
    scores = np.array([one.log_probability for one in found])
    best, start = [], 0
    for some in drawn:
        own = scores[start : start + len(some)].reshape(-1, best_of)
        best.append(some[np.arange(len(own)) * best_of + own.argmax(axis=1)])
        start += len(some)
    return best
