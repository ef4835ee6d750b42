"""Slips of the color words that a model reads of its own captions, while it trains.

It has to say the right word and reads any color in its place. What it says next it must
then see in the picture, or find in the request: otherwise the words alone tell it that
some colors and shapes never go together.
"""

import numpy as np

from bridge_jax.data.choices import Choices
from bridge_jax.data.shapes import palette
from bridge_jax.data.tokens import Tokenizer


def slipped(
    tokenizer: Tokenizer,
    rng: Choices,
    tokens: np.ndarray,
    where: np.ndarray,
    share: float,
) -> np.ndarray:
    """`tokens` [T] int with this share of the color words at `where` [T] bool replaced.

    A color's first token stands for it, should it have several.
    """
    colors = [tokenizer.encode_text(f" {color}")[0] for color in palette.COLORS]
    read = tokens.copy()
    for place in np.flatnonzero(where & np.isin(tokens, colors)):
        if rng.coin(share):
            read[place] = rng.choice(colors)
    return read
