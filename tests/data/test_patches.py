"""Patches against transformers' own Qwen2-VL image processor, to the bit."""

import numpy as np
import pytest
from transformers.models.qwen2_vl import image_processing_pil_qwen2_vl

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import images, patches

Reference = image_processing_pil_qwen2_vl.Qwen2VLImageProcessorPil


def _picture(height, width, seed=0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("size", [(56, 56), (100, 171), (37, 29), (900, 33), (61, 700)])
def test_equals_the_released_preprocessing(size):
    picture = _picture(*size)
    limits = {"min_pixels": 56 * 56, "max_pixels": 28 * 28 * 12}
    reference = Reference(**limits)(picture, return_tensors="np")
    fitted = patches.fit(picture, **limits)
    got, grid = patches.to_patches(fitted)
    assert [list(grid)] == reference["image_grid_thw"].tolist()
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, reference["pixel_values"])


def test_smart_resize_equals_the_released_one():
    rng = np.random.default_rng(0)
    for _ in range(500):
        height, width = (int(x) for x in rng.integers(4, 700, 2))
        if max(height, width) > 200 * min(height, width):
            continue
        limits = (28 * 28 * 4, 28 * 28 * 64)
        expected = image_processing_pil_qwen2_vl.smart_resize(
            height, width, 28, *limits
        )
        assert images.smart_resize(height, width, 28, *limits) == expected
    with pytest.raises(BridgeError, match="crop it"):
        images.smart_resize(2000, 5, 28, 1, 10**6)


def test_a_batch_equals_its_pictures_one_by_one():
    batch = np.stack([_picture(64, 64, seed) for seed in range(5)])
    got, grid = patches.batch_to_patches(batch, patch=8)
    assert grid == (1, 8, 8) and got.shape == (5, 64, 3 * 2 * 8 * 8)
    for picture, rows in zip(batch, got, strict=True):
        np.testing.assert_array_equal(rows, patches.to_patches(picture, patch=8)[0])


def test_a_video_takes_frames_in_pairs_and_repeats_the_last():
    video = np.stack([_picture(16, 24, seed) for seed in range(3)])
    rows, grid = patches.to_patches(video, patch=4)
    assert grid == (2, 4, 6)
    last, _ = patches.to_patches(video[2], patch=4)
    np.testing.assert_array_equal(rows[24:], last)
    # Inside a row: channel, then frame. The first pair holds frames 0 and 1.
    pair = rows[:24].reshape(24, 3, 2, 16)
    for frame in range(2):
        alone = patches.to_patches(video[frame], patch=4)[0].reshape(24, 3, 2, 16)
        np.testing.assert_array_equal(pair[:, :, frame], alone[:, :, 0])


def test_coordinates_follow_the_order_of_patches():
    height, width, patch = 4, 6, 2
    picture = np.zeros((height * patch, width * patch, 3), np.uint8)
    picture[..., 0] = np.repeat(np.arange(height), patch)[:, None]
    picture[..., 1] = np.repeat(np.arange(width), patch)[None, :]
    mean, std = (0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255)
    rows, grid = patches.to_patches(picture, patch, mean=mean, std=std)
    shown = rows.reshape(-1, 3, 2, patch, patch)[:, :2, 0, 0, 0]
    coordinates, frames = patches.patch_coordinates([grid])
    np.testing.assert_allclose(shown, coordinates, atol=1e-4)
    assert (frames == 1).all() and coordinates.dtype == frames.dtype == np.int32


def test_frames_are_numbered_through_all_pictures():
    coordinates, frames = patches.patch_coordinates([(2, 2, 2), (1, 4, 2)])
    assert frames.tolist() == [1] * 4 + [2] * 4 + [3] * 8
    assert coordinates[:4].tolist() == coordinates[4:8].tolist()
    assert patches.patch_coordinates([])[0].shape == (0, 2)


def test_pack_pads_with_frame_zero_and_refuses_what_does_not_fit():
    one = patches.to_patches(_picture(8, 8), patch=4)
    two = patches.to_patches(_picture(8, 16), patch=4)
    packed, coordinates, frames = patches.pack([[one, two], []], 16, 96)
    assert packed.shape == (2, 16, 96) and coordinates.shape == (2, 16, 2)
    np.testing.assert_array_equal(packed[0, 4:12], two[0])
    assert frames[0].tolist() == [1] * 4 + [2] * 8 + [0] * 4
    assert not frames[1].any() and not packed[1].any()
    with pytest.raises(BridgeError, match="row 0 make 12 patches and 8 fit"):
        patches.pack([[one, two]], 8, 96)


def test_a_size_that_does_not_divide_is_refused():
    with pytest.raises(BridgeError, match="resize it with `fit`"):
        patches.to_patches(_picture(30, 28), patch=14)
    with pytest.raises(BridgeError, match="3 x 4 patches does not divide"):
        patches.patch_coordinates([(1, 3, 4)])
