import compilations
import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest
import toy

from bridge_jax.checkpoint import hashed_arrays, manager
from bridge_jax.core.errors import BridgeError
from bridge_jax.train import loop, optim, state


def test_missing_folder_and_step(tmp_path):
    with pytest.raises(BridgeError, match="is it a work directory"):
        manager.open_existing(tmp_path / "none")
    (tmp_path / "checkpoints").mkdir()
    empty = manager.open_existing(tmp_path)
    with pytest.raises(BridgeError, match="no checkpoint in"):
        empty.weights()
    empty.close()


def test_keeps_the_latest_and_the_milestones(tmp_path):
    loop.train(toy.run(tmp_path, 7, checkpoint_every=1, keep=2, keep_every=3))
    steps = {int(p.name) for p in (tmp_path / "checkpoints").iterdir()}
    assert steps == {3, 6, 7}
    found = manager.open_existing(tmp_path)
    with pytest.raises(BridgeError, match="no checkpoint of step 5.*3, 6, 7"):
        found.weights(5)
    assert found.about() == manager.About(toy.MODEL, {"seed": 3})
    found.close()


def test_weights_are_the_average_and_lie_where_asked(tmp_path):
    config = optim.OptimConfig(
        learning_rate=0.1, ema_decay=0.5, trainable=(("first/.*", False), (".*", True))
    )
    last = loop.train(toy.run(tmp_path, 3, config=config))
    found = manager.open_existing(tmp_path)
    like = state.abstract(last).params
    for given in (None, like):
        made = found.weights(like=given)
        wanted = last.averaged()
        for a, b in zip(jax.tree.leaves(made), jax.tree.leaves(wanted), strict=True):
            np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
    assert made["first"]["kernel"].sharding == like["first"]["kernel"].sharding
    raw = found.weights(ema=False)
    np.testing.assert_array_equal(
        raw["second"]["bias"], np.asarray(last.params["second"]["bias"])
    )
    found.close()


def test_another_shape_names_the_first_few(tmp_path):
    last = loop.train(toy.run(tmp_path, 1))
    found = manager.open_existing(tmp_path)
    like = state.abstract(last).params
    kernel = like["first"]["kernel"]
    like["first"]["kernel"] = jax.ShapeDtypeStruct((8, 99), kernel.dtype)
    like["third"] = {"kernel": kernel}
    with pytest.raises(BridgeError) as raised:
        found.weights(like=like)
    text = str(raised.value)
    assert "first/kernel is [8, 16], wanted [8, 99]" in text
    assert "missing third/kernel" in text
    found.close()


def test_small_arrays_are_written_whole(tmp_path, monkeypatch):
    """A part of an array takes a program to cut it, and small arrays have many shapes.

    All arrays are whole on all eight devices.
    """
    state, _ = toy.fresh(toy.layout(8), optim.OptimConfig())

    def compiled(folder, least):
        monkeypatch.setattr(hashed_arrays, "SMALLEST_PART", least)
        jax.clear_caches()
        with (
            compilations.heard() as seen,
            ocp.Checkpointer(hashed_arrays.Handler()) as saver,
        ):
            saver.save(folder, args=hashed_arrays.Save(state.params))
        return len(seen)

    assert compiled(tmp_path / "whole", hashed_arrays.SMALLEST_PART) == 0
    assert compiled(tmp_path / "parts", 1) > 0
