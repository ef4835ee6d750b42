"""Multimodal positions against the recorded reference."""

import json
import pathlib

import numpy as np
import pytest

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import mrope

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN / "qwen2_vl.npz") as arrays:
        return dict(arrays), json.loads((GOLDEN / "qwen2_vl.json").read_text())


def _row_grids(tokens, ids, grids: dict[str, list]) -> list[tuple]:
    """Deal the batch's grids out to one row, in the order of its placeholders."""
    dealt, i = [], 0
    while i < len(tokens):
        kind = {ids["image"]: "image", ids["video"]: "video"}.get(int(tokens[i]))
        if kind is None:
            i += 1
            continue
        dealt.append(tuple(grids[kind].pop(0)))
        i += mrope.visual_length(dealt[-1])
    return dealt


@pytest.mark.parametrize(
    "case", ["img", "twoimg", "vid", "text", "gen_single", "gen_leftpad", "gen_text"]
)
def test_equals_the_reference(golden, case):
    arrays, description = golden
    ids = description["config"]["ids"]
    tokens = arrays[f"in/{case}/input_ids"]
    segments = arrays[f"in/{case}/attention_mask"]
    grids = {
        kind: arrays.get(f"in/{case}/{kind}_grid_thw", np.zeros((0, 3))).tolist()
        for kind in ("image", "video")
    }
    rows = [_row_grids(row, ids, grids) for row in tokens]
    visual = (tokens == ids["image"]) | (tokens == ids["video"])
    positions, deltas = mrope.batch_positions(visual, segments, rows)
    assert positions.dtype == np.int32
    if f"out/{case}/position_ids" in arrays:
        np.testing.assert_array_equal(positions, arrays[f"out/{case}/position_ids"])
    np.testing.assert_array_equal(deltas, arrays[f"out/{case}/rope_deltas"][:, 0])


def test_an_image_takes_a_block_and_text_goes_on_after_it():
    visual = np.array([False] + [True] * 6 + [False] * 2)
    expected = [
        [0, 1, 1, 1, 1, 1, 1, 4, 5],
        [0, 1, 1, 1, 2, 2, 2, 4, 5],
        [0, 1, 2, 3, 1, 2, 3, 4, 5],
    ]
    assert mrope.row_positions(visual, [(1, 4, 6)]).tolist() == expected


def test_mismatches_are_refused():
    visual = np.array([True, False, True])
    with pytest.raises(BridgeError, match="2 image placeholders .* 1 images need .6."):
        mrope.row_positions(visual, [(1, 4, 6)])
    with pytest.raises(BridgeError, match="2 image placeholders .* 0 images need"):
        mrope.row_positions(visual, [])
    with pytest.raises(BridgeError, match="2 image placeholders .* 2 images need"):
        mrope.row_positions(visual, [(1, 2, 4), (1, 2, 2)])
    with pytest.raises(BridgeError, match="text stands inside"):
        mrope.row_positions(visual, [(1, 2, 4)])
    both = np.stack([np.zeros(3, bool), visual])
    with pytest.raises(BridgeError, match="row 1: 2 image placeholders"):
        mrope.batch_positions(both, np.ones((2, 3)), [[], []])


def test_visual_tokens_are_numbered_within_their_row():
    visual = np.array([[0, 1, 1, 0, 1], [0, 0, 0, 0, 1]], bool)
    index = mrope.image_index(visual)
    assert index.tolist() == [[-1, 0, 1, -1, 2], [-1, -1, -1, -1, 0]]
    assert index.dtype == np.int32
    np.testing.assert_array_equal(mrope.image_index(visual[0]), index[0])
