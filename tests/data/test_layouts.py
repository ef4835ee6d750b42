"""What towers are shown: sizes, padding, and that no pixel is lost or moved."""

import dataclasses

import numpy as np
import PIL.Image
import pytest

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import processor as processor_lib

SQUARE = processor_lib.Config(patch=14, temporal=1, merge=1, layout="square", side=56)
ANYRES = dataclasses.replace(SQUARE, layout="anyres")


def picture(height, width):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def looking(config):
    return processor_lib.Processor(config)


def test_a_square_is_padded_with_clips_mean_and_then_resized():
    image = picture(40, 80)
    [frame] = looking(SQUARE).layout(image)
    by_hand = PIL.Image.new("RGB", (80, 80), (122, 116, 104))
    by_hand.paste(PIL.Image.fromarray(image), (0, 20))
    resized = by_hand.resize((56, 56), PIL.Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(frame, np.asarray(resized))


@pytest.mark.parametrize(
    ("size", "grid"),
    [((56, 112), (1, 2)), ((150, 50), (3, 1)), ((200, 190), (2, 2)), ((9, 9), (1, 2))],
)
def test_tiles_come_after_the_whole_row_by_row(size, grid):
    image = picture(*size)
    frames = looking(ANYRES).layout(image)
    assert frames.shape == (1 + grid[0] * grid[1], 56, 56, 3)
    resized = PIL.Image.fromarray(image).resize((56, 56), PIL.Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(frames[0], np.asarray(resized))
    if size == (56, 112):  # fits as it is
        np.testing.assert_array_equal(frames[1], image[:, :56])
        np.testing.assert_array_equal(frames[2], image[:, 56:])


def test_what_a_tile_pads_is_black_and_around_the_picture():
    frames = looking(ANYRES).layout(np.full((56, 100, 3), 200, np.uint8))
    wide = np.concatenate(frames[1:], axis=1)
    assert (wide[:, 6:-6] == 200).all()
    assert (wide[:, :6] == 0).all() and (wide[:, -6:] == 0).all()


@pytest.mark.parametrize(("config", "frames"), [(SQUARE, 1), (ANYRES, 5)])
def test_every_frame_has_its_patches_and_tokens(config, frames):
    processor = looking(config)
    shown, grid = processor.look_at(picture(100, 100))
    assert grid == (frames, 4, 4) and shown.shape == (16 * frames, 3 * 14 * 14)
    assert processor.look(grid).visual.sum() == 16 * frames
    assert processor.layout.unit == 16
    alone, _ = processor.patches(processor.layout(picture(100, 100))[:1])
    np.testing.assert_array_equal(shown[:16], alone)


def test_a_tile_fills_a_temporal_patch_by_itself():
    processor = looking(
        dataclasses.replace(ANYRES, temporal=2, merge=2, patch=14, side=56)
    )
    shown, grid = processor.look_at(picture(100, 100))
    assert grid == (5, 4, 4)
    twice = shown.reshape(80, 3, 2, 14 * 14)
    np.testing.assert_array_equal(twice[:, :, 0], twice[:, :, 1])


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"layout": "squar"}, "did you mean 'square'"),
        ({"layout": "square", "side": 50}, "side 50 is no multiple of 14 pixels"),
        ({"layout": "anyres", "tiles": ()}, r"tiles \(\) are no \(rows, columns\)"),
        ({"layout": "anyres", "tiles": ((0, 1),)}, "are no"),
    ],
)
def test_sizes_that_cannot_be(fields, told):
    with pytest.raises(BridgeError, match=told):
        dataclasses.replace(SQUARE, **fields)
