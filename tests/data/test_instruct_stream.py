"""Stage 1's stream: what its conversations are about, and how they are laid out."""

import re

import miniature
import numpy as np
import pytest

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import pipeline, shapes_world

QWEN = miniature.PROCESSOR.llm


def make(**fields):
    return pipeline.load_stream("shapes_instruct", fields, miniature.PROCESSOR)


def test_reasons_stand_before_the_captions_of_edits():
    plain = make(edit=1.0, rewrite=0.0)
    reasoned = make(edit=1.0, rewrite=0.0, reasons=True)
    for index in range(4):
        reply = QWEN.decode(reasoned(index)["targets"]).split("<img>")
        before, after = QWEN.decode(plain(index)["targets"]).split("<img>")
        edit = shapes_world.Source("train")[index].edit
        assert reply[0] == f"{before}{edit.change}."
        assert reply[1].split("</img>")[0] == after.split("</img>")[0]


def test_thoughts_stand_before_answers_where_they_are_asked_for():
    def turns(**fields):
        stream = make(edit=0.0, rewrite=0.0, describe=0.0, **fields)
        rows = [QWEN.decode(stream(index)["targets"]) for index in range(12)]
        lines = [row.split("<|endoftext|>")[0].split("user\n")[2:] for row in rows]
        return [turn.strip().split("\nassistant\n") for row in lines for turn in row]

    thought, plain = turns(thoughts=1.0), turns()
    assert len(thought) > 12 and len(plain) > 12
    for question, reply in thought:
        assert question.startswith("Think: ") and re.fullmatch("[^:]+: [^:]+", reply)
    assert not [one for turn in plain for one in turn if ":" in one]
    some = [question.startswith("Think: ") for question, _ in turns(thoughts=0.5)]
    assert 0.2 < np.mean(some) < 0.8


def test_moves_are_asked_for_oftener():
    rows = [make(edit=1.0, rewrite=0.0, moves=0.9)(i) for i in range(20)]
    said = [QWEN.decode(row["targets"]) for row in rows]
    moved = [bool(re.search("Edit: (move|shift)", text)) for text in said]
    assert np.mean(moved) > 0.7


def test_all_kinds_of_instructions_occur():
    stream = make()
    rows = [stream(index) for index in range(40)]
    said = [QWEN.decode(row["vlm"]["tokens"]) for row in rows]
    assert any("Draw:" in text for text in said)
    assert any("Edit:" in text for text in said)
    assert any("Describe" in text for text in said)
    packs = [row["vlm"]["segments"].max() for row in rows]
    assert max(packs) > 1  # rewritings are packed, pictures are not
    for row, text, pack in zip(rows, said, packs, strict=True):
        shows = (row["vlm"]["image_index"] >= 0).any()
        assert shows == ("Draw:" not in text) and (pack == 1 or not shows)


def test_a_length_that_holds_no_turn_is_refused():
    for share in (0.0, 1.0):
        with pytest.raises(BridgeError, match="not one turn fits into 20 tokens"):
            make(length=20, rewrite=share)(0)
