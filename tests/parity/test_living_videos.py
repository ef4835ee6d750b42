"""Videos against transformers' own Qwen2-VL video processor, all but its resampling.

That class wants torchvision, whose part in it is the resampling alone. Here an empty
module stands in for it, so that the rest runs: which size a video gets, how frames are
paired, the last one repeated, and the order of patches.
"""

import importlib
import sys
import types

import numpy as np
import pytest

from bridge_jax.core import clip
from bridge_jax.data import images, patches

pytestmark = pytest.mark.parity
torch = pytest.importorskip("torch", reason="torch is a test-only oracle")
utils = pytest.importorskip("transformers.utils.import_utils")

MODULE = "transformers.models.qwen2_vl.video_processing_qwen2_vl"


@pytest.fixture(scope="module")
def theirs():
    utils.is_torchvision_available()  # asked before, it does not find the stand-in
    parent = None
    for name in ("torchvision", "transforms", "v2", "functional"):
        full = f"{parent.__name__}.{name}" if parent else name
        sys.modules[full] = types.ModuleType(full)
        if parent:
            setattr(parent, name, sys.modules[full])
        parent = sys.modules[full]
    yield importlib.import_module(MODULE)
    for name in list(sys.modules):
        if name.startswith("torchvision") or "video_processing" in name:
            del sys.modules[name]


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_patches_and_grid(theirs, frames):
    rng = np.random.default_rng(frames)
    video = rng.integers(0, 256, (frames, 56, 84, 3), dtype=np.uint8)
    ours, grid = patches.to_patches(video)
    mean, std = (np.float32(one) for one in (clip.MEAN, clip.STD))
    normal = (video.astype(np.float32) / 255 - mean) / std
    fed = torch.from_numpy(normal.transpose(0, 3, 1, 2)[None].copy())
    wanted, *their_grid = theirs.Qwen2VLVideoProcessor.patchify(None, fed, 14, 2, 2)
    assert list(grid) == their_grid
    np.testing.assert_allclose(ours, wanted[0].numpy(), atol=1e-6)


def test_the_size_of_a_video(theirs):
    limits = theirs.Qwen2VLVideoProcessor.size
    least, most = limits["shortest_edge"], limits["longest_edge"]
    rng = np.random.default_rng(0)
    sizes = set()
    for _ in range(500):
        height, width = (int(one) for one in rng.integers(64, 2000, 2))
        size = images.smart_resize(height, width, 28, least, most)
        wanted = theirs.smart_resize(
            height, width, factor=28, min_pixels=least, max_pixels=most
        )
        assert size == wanted
        sizes.add(size)
    assert len(sizes) > 100
