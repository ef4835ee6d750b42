"""Videos beside pictures in one conversation."""

import numpy as np
import PIL.Image
import pytest

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import processor as processor_lib
from bridge_jax.inference import inputs
from bridge_jax.inference.answering import decode, kept, looking, turns


def test_a_video_is_looked_at_where_it_is_mentioned(talker, tmp_path):
    """Frames of a file or an array, in two frames a visual token, as in training."""
    processor = talker.processor
    frames = np.stack([np.full((40, 48, 3), 9 * i, np.uint8) for i in range(21)])
    path = tmp_path / "a.gif"
    first, *others = [PIL.Image.fromarray(frame) for frame in frames[:5]]
    first.save(path, save_all=True, append_images=others, duration=500)
    parts = [{"type": "video"}, {"type": "image"}, {"type": "video"}]
    messages = [{"role": "user", "content": [*parts, {"type": "text", "text": "?"}]}]
    kinds = looking.mentions(messages)
    given = inputs.mentioned([frames, frames[0], str(path)], kinds)
    long, still, short = inputs.pictures(given, processor)
    assert [one.kind for one in (long, still, short)] == kinds
    assert len(long.pixels) == inputs.FRAMES and len(short.pixels) == 4
    most = inputs._PICTURES * processor.config.max_pixels // processor.config.patch**2
    patches, grid = processor.watch(long.pixels, most)
    np.testing.assert_array_equal(long.patches()[0], patches)
    assert long.grid == grid == long.patches()[1] and still.grid[0] == 1
    asked = turns.conversation(talker.engine, messages, [long, still, short])
    assert asked.row.grids == (long.grid, still.grid, short.grid)
    batch = decode.prepare(talker.engine, [asked])["vlm"]
    assert (batch["patch_segments"] > 0).sum() == asked.size[0]
    names = kept.names(asked, processor.config.merge)
    assert len(set(names[asked.row.visual])) == asked.row.visual.sum()


def test_what_is_no_video_is_told(talker, tmp_path):
    for source, words in [
        (np.zeros((4, 4, 3), np.uint8), "frames as a uint8 array"),
        (str(tmp_path / "a.txt"), "videos are read from"),
        (3, "a video is a path"),
    ]:
        with pytest.raises(BridgeError, match=words):
            inputs.pictures([inputs.Video(source)], talker.processor)
    with pytest.raises(BridgeError, match="must be a list"):
        inputs.pictures(inputs.mentioned("a.png", ["image"]), talker.processor)
    tiled = processor_lib.Processor(processor_lib.Config(layout="square"))
    with pytest.raises(BridgeError, match="at no videos"):
        inputs.pictures([inputs.Video(3)], tiled)
