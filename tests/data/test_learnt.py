"""Recipes that bound how much of a row is learnt leave no reply out."""

import miniature
import numpy as np
import pytest

from bridge_jax.core import config as config_lib
from bridge_jax.data import pipeline

ROWS = 150
SHAPES = (
    "configs/shapes_pretrain.py:vlm",
    "configs/shapes_stage1.py",
    "configs/shapes_stage1.py:quickstart",
    "configs/shapes_stage1.py:moves",
    "configs/shapes_longer_cpu.py:stage1",
)


@pytest.mark.parametrize("recipe", SHAPES)
def test_rows_of_the_shapes_world_have_no_more_replies(recipe):
    config = config_lib.plain(config_lib.load(recipe))
    for label, given in config["objectives"].items():
        name = given.get("stream", "main")
        stream, _ = pipeline.opened(name, config["streams"][name], miniature.PROCESSOR)
        masks = np.stack([stream(index)["loss_mask"] for index in range(ROWS)])
        most = int((masks[:, 1:] > 0).sum(axis=1).max())
        length = masks.shape[1]
        assert given["learnt"] // 2 < most <= given["learnt"] < length, label


@pytest.mark.parametrize("recipe", ["pretrain", "instruct"])
def test_a_picture_leaves_no_room_for_more(recipe):
    config = config_lib.plain(config_lib.load(f"configs/langbridge_{recipe}.py"))
    stream = config["streams"]["main"]
    room = stream["length"] - stream["num_patches"]  # a patch is a token
    assert config["objectives"]["sft"]["learnt"] == room
