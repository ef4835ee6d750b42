"""A plan is of the very program and the very arrays that a run has."""

import dataclasses
import json
import math

import jax
import miniature
import pytest

from bridge_jax.cli import main
from bridge_jax.core.errors import BridgeError
from bridge_jax.plan import abstract, fit, table, topology
from bridge_jax.train import optim, step
from bridge_jax.train import recipe as recipe_lib
from bridge_jax.train import state as state_lib

STAGE1 = "configs/shapes_stage1.py:tiny"
LORA = "configs/shapes_stage1.py:lora-tiny"


@pytest.fixture(scope="module")
def eight():
    return topology.find("cpu-8")


def real_bytes(tree):
    """On the first device."""
    return sum(leaf.addressable_data(0).nbytes for leaf in jax.tree.leaves(tree))


@pytest.fixture(autouse=True, scope="module")
def quick_compilation():
    """Nothing here runs."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


def cut(spec):
    config = miniature.config(spec)
    config.mesh = {"data": 2, "fsdp": 2, "tensor": 2}
    config.optim.ema_decay = 0.9
    return config


def placed(tree, shardings=None):
    """Path -> (shape, dtype, shape on one device)."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    places = jax.tree.leaves(shardings) or [leaf.sharding for _, leaf in leaves]
    return {
        jax.tree_util.keystr(path): (
            leaf.shape,
            leaf.dtype,
            place.shard_shape(leaf.shape),
        )
        for (path, leaf), place in zip(leaves, places, strict=True)
    }


def begun(recipe):
    """(optimiser, state) as a run has them."""
    params = recipe.fresh_params()
    rule = optim.make(recipe.config.optim, params, recipe.config.total_steps)
    return rule, state_lib.create(params, rule, 0, recipe.layout)


@pytest.mark.parametrize("spec", [STAGE1, LORA, "configs/shapes_stage2.py:tiny"])
def test_shapes_and_places_are_those_of_a_run(spec):
    recipe = recipe_lib.make(cut(spec))
    _, state, batch = abstract.training(recipe)
    assert placed(state) == placed(begun(recipe)[1])
    real = recipe.layout.put_batch(next(recipe.batches()))
    assert placed(batch, recipe.layout.batch_sharding(batch)) == placed(real)


def test_sizes_are_those_of_a_run(eight):
    plan = fit.plan(cut(STAGE1), STAGE1, eight)
    recipe = recipe_lib.make(cut(STAGE1))
    rule, state = begun(recipe)
    assert plan.state * topology.GIB == pytest.approx(real_bytes(state), rel=1e-12)
    kept = real_bytes((state.opt_state, state.step, state.skipped, state.seed))
    assert plan.optimizer * topology.GIB == pytest.approx(kept, rel=1e-12)
    batch = recipe.layout.put_batch(next(recipe.batches()))
    assert plan.batch * topology.GIB == pytest.approx(real_bytes(batch), rel=1e-12)
    made = step.Step(recipe.loss, rule, recipe.layout).compile(state, batch)
    inside = made.memory_analysis().temp_size_in_bytes
    assert plan.temporary * topology.GIB == pytest.approx(inside, rel=0.01)
    assert plan.peak >= plan.state + plan.batch + plan.temporary - 1e-9
    assert (plan.fits, plan.devices, plan.mesh["fsdp"]) == (True, 8, 2)
    assert plan.trained < plan.parameters


def test_what_leaves_no_room_is_refused_with_a_way_out(eight):
    config = miniature.config(STAGE1)
    plan = fit.plan(config, STAGE1, eight)
    assert "compiled" in table.verdict(plan) and math.isnan(plan.memory)
    tight = dataclasses.replace(plan, memory=plan.peak / 0.95)
    assert not tight.fits and "less than 10 % is spare" in table.text(tight)
    assert "smaller batch" in table.text(tight)
    roomy = dataclasses.replace(plan, memory=plan.peak / 0.85)
    assert roomy.fits
    assert "compiled and fits (AOT, no hardware)" in table.verdict(roomy)
    refused = dataclasses.replace(roomy, refusal="Used 24G of 16G hbm")
    assert not refused.fits and "DOES NOT FIT: Used 24G" in table.verdict(refused)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("v5p64", "names are like"),
        ("v5p-60", "there are v5p-8, v5p-16"),
        ("v5e-24", "v5e-256"),
        ("0xv5e-16", "no topology"),
        ("cpu-99", "add --simulate 99"),
    ],
)
def test_wrong_names(name, told):
    with pytest.raises(BridgeError, match=told):
        topology.find(name)


def test_grids_hold_their_chips():
    for grids in topology.GRIDS.values():
        for chips, grid in grids.items():
            assert math.prod(int(side) for side in grid.split("x")) == chips


def test_the_command_writes_what_it_prints(tmp_path, capfd):
    words = ("plan", "--config", STAGE1, "--topology", "cpu-8", "--topology", "cpu-4")
    assert main.main([*words, "--json", str(tmp_path / "plan.json")]) == 0
    plans = json.loads((tmp_path / "plan.json").read_text())
    assert [plan["topology"] for plan in plans] == ["cpu-8", "cpu-4"]
    assert all(plan["fits"] and plan["memory"] is None for plan in plans)
    assert "compiled in" in capfd.readouterr().out


def test_a_tpu_is_compiled_for():
    pytest.importorskip("libtpu", reason="libtpu is the optional extra `plan`")
    where = topology.find("v5e-4")
    assert {device.device_kind for device in where.devices} == {"TPU v5 lite"}
    config = miniature.config(STAGE1)
    plan = fit.plan(config, STAGE1, where)
    assert plan.fits and 0 < plan.peak < 1
    # A vocabulary whose table and moments alone are more than a device has.
    config.model.vlm.vocab_size = 2**27
    plan = fit.plan(config, STAGE1, where)
    assert not plan.fits and "out of memory" in plan.refusal
    assert "DOES NOT FIT" in table.text(plan)
