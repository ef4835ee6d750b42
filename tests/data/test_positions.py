"""Numbers of tokens, by rule."""

import numpy as np
import pytest

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import chat, mrope, positions, processor, rows

VISUAL = np.array([False] + [True] * 6 + [False] * 2)
GRID = (1, 4, 6)


def test_plain_counts_words_and_visual_tokens_alike():
    found = positions.plain(VISUAL, [GRID])
    assert found.tolist() == [list(range(9))] * 3
    with pytest.raises(BridgeError, match="6 image placeholders"):
        positions.plain(VISUAL, [])


@pytest.mark.parametrize("padding", ["left", "right"])
def test_what_is_written_next_goes_on(padding):
    """Token number i of the padded row has position i + delta."""
    pad = np.zeros(3, int)
    segments = np.ones(9, int)
    ordered = (pad, segments) if padding == "left" else (segments, pad)
    blank = np.zeros(3, bool)
    visual = (blank, VISUAL) if padding == "left" else (VISUAL, blank)
    numbers, deltas = mrope.batch_positions(
        np.concatenate(visual)[None],
        np.concatenate(ordered)[None],
        [[GRID]],
        rule=positions.plain,
    )
    there = np.concatenate(ordered) == 1
    assert numbers[0, 0, there].tolist() == list(range(9))
    assert deltas.tolist() == [9 - 12]


def test_every_conversation_of_a_row_begins_anew():
    made = processor.Processor(processor.Config(positions="plain"))
    fields, _, _ = made.vlm([made.say("a red circle"), made.say("a ring")], [], 40, 0)
    for segment in (1, 2):
        there = fields["segments"] == segment
        count = list(range(there.sum()))
        assert fields["positions"][:, there].tolist() == [count] * 3
    row = chat.Row(*(np.zeros(9, t) for t in (np.int32, bool, bool)), VISUAL, (GRID,))
    by_name = {
        name: rows.language([row], 9, 0, rule=rule)["positions"][2].tolist()
        for name, rule in positions.RULES.items()
    }
    assert by_name == {"mrope": [0, 1, 2, 3, 1, 2, 3, 4, 5], "plain": [*range(9)]}


def test_a_rule_that_is_not_there_is_told():
    with pytest.raises(BridgeError, match="'rope' is none of mrope, plain"):
        processor.Config(positions="rope")
