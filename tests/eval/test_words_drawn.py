"""Words of visual tokens on a picture: each in its own cell."""

import numpy as np

from bridge_jax.eval.pages import words_drawn
from bridge_jax.inference.explain import Explanation


def sheet(word):
    """Two tokens side by side on black, the first of which says the word."""
    return words_drawn.sheet(
        Explanation(
            pixels=np.zeros((1, 8, 16, 3), np.uint8),
            grid=(1, 1, 2),
            kind="coefficients",
            words=((word,), ("a",)),
            values=np.array([[0.53], [0.5]], np.float32),
            entropy=np.zeros(2, np.float32),
            shares=np.ones(1, np.float32),
        )
    )


def test_a_long_word_stays_in_its_cell():
    """The second cell looks as it does beside a short word."""
    short, long = sheet(" red"), sheet(" background")
    wider = (long.shape[1] - short.shape[1]) // 2
    assert wider > 0
    rows = slice(1, 30)  # those that the words stand in
    inside = slice(words_drawn.CELL + 1, 2 * words_drawn.CELL - 1)
    moved = slice(inside.start + wider, inside.stop + wider)
    np.testing.assert_array_equal(long[rows, moved], short[rows, inside])
