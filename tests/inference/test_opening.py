"""What all rows begin with is read once, and what stands behind them not at all."""

import jax
import numpy as np
import pytest

from bridge_jax.core import flops
from bridge_jax.data import chat
from bridge_jax.inference import embed, opening


def row(tokens, first, stop):
    """Whose caption is tokens[first:stop]."""
    tokens = np.asarray(tokens, np.int32)
    places = np.arange(len(tokens))
    nothing = np.zeros(len(tokens), bool)
    return chat.Row(tokens, nothing, (places >= first) & (places < stop), nothing)


def test_rows_end_with_the_last_token_asked_for():
    cut = opening.until(row([5, 6, 7, 8, 9], 2, 4), "caption")
    assert cut.tokens.tolist() == [5, 6, 7, 8]
    assert cut.caption.tolist() == [False, False, True, True]
    assert len(cut.response) == len(cut.visual) == 4


@pytest.mark.parametrize(
    "second, first, shared",
    [
        ([5, 6, 7, 8], 2, 2),  # no token that is asked for, though they are alike
        ([5, 6, 9], 1, 1),
        ([5, 4, 7, 8], 2, 1),
        ([4, 6, 7, 8], 2, 0),
    ],
)
def test_rows_share_what_is_alike_before_what_is_asked_for(second, first, shared):
    rows = [row([5, 6, 7, 8], 2, 4), row(second, first, len(second))]
    assert opening.alike(rows, "caption") == shared


def test_fields_are_divided_by_tokens_alone():
    fields = {
        "tokens": np.arange(10).reshape(2, 5),
        "segments": np.ones((2, 5)),
        "positions": np.arange(30).reshape(2, 3, 5),
        "image_index": np.full((2, 5), -1),
        "patches": np.zeros((2, 7, 4)),
    }
    rest, shared = opening.split(fields, 2)
    assert rest["tokens"].tolist() == [[2, 3, 4], [7, 8, 9]]
    assert rest["positions"][1, 2].tolist() == [27, 28, 29]
    assert rest["patches"].shape == (2, 7, 4)
    assert shared["tokens"].tolist() == [[0, 1]]
    assert shared["positions"].tolist() == [[[0, 1], [5, 6], [10, 11]]]
    assert set(shared) == {"tokens", "segments", "positions"}


def test_a_beginning_costs_one_row_of_it(model):
    """Arithmetic of the program, beside that of the same rows read whole."""
    rows, begun, own = 4, 12, 16

    def work(size):
        length = begun + own - size
        fields = {
            "tokens": np.zeros((rows, begun + own), np.int32),
            "segments": np.ones((rows, begun + own), np.int32),
            "positions": np.zeros((rows, 3, begun + own), np.int32),
        }
        rest, shared = opening.split(fields, size)
        batch = {
            "vlm_text": rest,
            # All states are asked for, or the last layer would make fewer.
            "text_index": np.tile(np.arange(length, dtype=np.int32), (rows, 1)),
            "text_mask": np.ones((rows, length), bool),
        }
        shared = {"opening": shared} if size else {}

        def vectors(params, batch, shared):
            return embed.embedding(
                model.engine.bundle, params, batch, shared, modality="text"
            )

        traced = jax.jit(vectors).trace(model.params, batch, shared)
        return flops.count(traced.jaxpr, ("vlm",)).parts["vlm"]

    # Of the beginning's last layer, keys and values alone are needed.
    whole = rows * (begun + own)
    assert rows * own / whole < work(begun) / work(0) < (rows * own + begun) / whole
