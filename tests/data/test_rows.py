"""Conversations and pictures as the model's fields."""

import miniature
import numpy as np
import pytest

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import instructions, rows

PROCESSOR = miniature.PROCESSOR
PAD = PROCESSOR.llm.pad_id


def test_packed_conversations_restart():
    one, two = PROCESSOR.draw("two red cubes", "a"), PROCESSOR.draw("a star", None)
    first, second = len(one.tokens), len(two.tokens)
    total = first + second
    fields = rows.language([one, two], total + 3, PAD)
    assert fields["segments"].tolist() == [1] * first + [2] * second + [0] * 3
    whole = np.concatenate([one.tokens, two.tokens, [PAD] * 3])
    np.testing.assert_array_equal(fields["tokens"], whole)
    counting = [*range(first), *range(second), 1, 1, 1]
    np.testing.assert_array_equal(fields["positions"], np.tile(counting, (3, 1)))
    assert (fields["image_index"] == -1).all()
    np.testing.assert_array_equal(fields["response"][:first], one.response)
    assert not fields["response"][first:].any()


def test_what_does_not_fit_is_refused():
    row = PROCESSOR.draw("a red cube", None)
    with pytest.raises(BridgeError, match="tokens do not fit into 4: shorten"):
        rows.language([row], 4, PAD)
    with pytest.raises(BridgeError, match="3 memory tokens do not fit into 2"):
        rows.memory(np.array([1, 1, 0, 1], bool), 2)


def test_memory_lists_marked_positions_and_pads():
    index, mask = rows.memory(np.array([0, 1, 0, 1], bool), 3)
    assert index.tolist() == [1, 3, 0] and mask.tolist() == [True, True, False]


def test_pictures_are_packed_in_order():
    pictures = [
        PROCESSOR.look_at(np.full((32, 48, 3), shade, np.uint8)) for shade in (10, 200)
    ]
    fields = rows.vision(pictures, 64, PROCESSOR.patch_width)
    assert fields["patch_segments"].tolist() == [1] * 24 + [2] * 24 + [0] * 16
    np.testing.assert_array_equal(fields["patches"][24:48], pictures[1][0])
    assert fields["coordinates"].shape == (64, 2) and not fields["patches"][48:].any()


@pytest.mark.parametrize(
    ("evenness", "wanted"), [(0.0, 2.0), (1.0, 1.0), (0.5, 2**0.5)]
)
def test_replies_are_weighed_by_length(evenness, wanted):
    response = np.array([0, 1, 1, 0, 1, 1, 1, 1], bool)
    weights = rows.weigh_replies(response, evenness)
    assert weights.dtype == np.float32
    np.testing.assert_array_equal(weights > 0, response)
    assert weights[1:3].sum() == pytest.approx(wanted)
    assert weights[4:].sum() == pytest.approx(4 ** (1 - evenness))


# --- the processor ---------------------------------------------------------------

GRID = (1, 8, 8)


@pytest.mark.parametrize(
    "turn",
    [
        lambda reply: PROCESSOR.draw("a red cube", reply),
        lambda reply: PROCESSOR.edit("remove the cube", reply, GRID),
        lambda reply: PROCESSOR.describe(reply, GRID),
        lambda reply: PROCESSOR.ask("what color is it?", reply, GRID),
    ],
)
def test_a_prompt_is_what_training_saw_before_the_reply(turn):
    prompt, whole = turn(None), turn("a small red cube")
    np.testing.assert_array_equal(whole.tokens[: len(prompt.tokens)], prompt.tokens)
    assert not prompt.response.any()
    assert np.flatnonzero(whole.response)[0] == len(prompt.tokens)


def test_a_picture_alone_begins_every_conversation_about_it():
    alone = PROCESSOR.look(GRID)
    last = np.flatnonzero(alone.visual)[-1] + 1
    for row in (PROCESSOR.describe("a cube", GRID), PROCESSOR.edit("go", None, GRID)):
        np.testing.assert_array_equal(alone.tokens[:last], row.tokens[:last])
        np.testing.assert_array_equal(alone.visual[:last], row.visual[:last])


def test_native_resolution_is_limited():
    _, grid = PROCESSOR.look_at(np.zeros((300, 200, 3), np.uint8))
    height, width = grid[1:]
    assert height > width and height * width <= 64
    assert height % 2 == width % 2 == 0


def test_long_texts_are_cut_or_refused():
    long = "a small red cube " * 20
    assert PROCESSOR.texts(long, "")["t5_mask"].all()
    with pytest.raises(BridgeError, match="text too long"):
        PROCESSOR.texts(long, "", strict=True)


def test_instructions_by_name():
    assert instructions.named("full").system
    with pytest.raises(BridgeError, match="no instructions 'ful': use one of short"):
        instructions.named("ful")


def test_the_configs_know_the_tokenizers_ids():
    table = miniature.config("configs/shapes_stage2.py:tiny").model
    qwen = PROCESSOR.llm
    names = {
        "image_pad": "<|image_pad|>",
        "video_pad": "<|video_pad|>",
        "vision_start": "<|vision_start|>",
        "vision_end": "<|vision_end|>",
        "eos": "<|im_end|>",
        "pad": "<|endoftext|>",
    }
    for field, name in names.items():
        assert table.vlm[field] == qwen.token_id(name), field
    assert table.vlm.eos == qwen.eos_id and table.vlm.pad == qwen.pad_id
    assert table.vlm.vocab_size >= qwen.size
    assert table.mt5.vocab >= PROCESSOR.mt5.size
    assert table.bert.vocab >= PROCESSOR.bert.size
