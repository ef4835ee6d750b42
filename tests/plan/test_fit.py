"""A plan is of the very program and the very arrays that a run has."""

import dataclasses
import json
import math
import types

import jax
import miniature
import pytest

from bridge_jax.cli import main
from bridge_jax.core import flops, hardware
from bridge_jax.core.errors import BridgeError
from bridge_jax.models import build
from bridge_jax.plan import abstract, fit, gpu, table, topology, tpu
from bridge_jax.sharding import place
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


def small():
    """Stage 1 with one stream, whose program is half as large."""
    config = miniature.config(STAGE1)
    with config.unlocked():
        del config.streams["caption"], config.objectives["sft_caption"]
    return config


def cut(config):
    """With parameters and batches in parts."""
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


def only(config, where):
    """The plan of its only program."""
    [plan] = fit.plans(config, STAGE1, where)
    return plan


@pytest.fixture(scope="module")
def plain(eight):
    """The plan of stage 1 as it is."""
    return only(small(), eight)


@pytest.fixture(scope="module")
def sampling(eight):
    """The plans of a picture's programs."""
    config = miniature.config("configs/shapes_stage2.py:tiny")
    return list(fit.plans(config, "stage2", eight, "sampling"))


def begun(recipe):
    """(optimiser, state) as a run has them."""
    params = recipe.fresh_params()
    rule = optim.make(recipe.config.optim, params, recipe.config.total_steps)
    return rule, state_lib.create(params, rule, 0, recipe.layout)


@pytest.mark.parametrize("spec", [STAGE1, LORA, "configs/shapes_stage2.py:tiny"])
def test_shapes_and_places_are_those_of_a_run(spec, tmp_path):
    config = miniature.started(miniature.config(spec), tmp_path)
    recipe = recipe_lib.make(cut(config))
    _, state, batch = abstract.training(recipe)
    assert placed(state) == placed(begun(recipe)[1])
    real = recipe.layout.put_batch(next(recipe.batches()))
    assert placed(batch, recipe.layout.batch_sharding(batch)) == placed(real)


def test_sizes_are_those_of_a_run(eight):
    plan = only(cut(small()), eight)
    recipe = recipe_lib.make(cut(small()))
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


def test_what_leaves_no_room_is_refused_with_a_way_out(plain):
    assert "compiled" in table.verdict(plain) and math.isnan(plain.memory)
    tight = dataclasses.replace(plain, memory=plain.peak / 0.95)
    assert not tight.fits and "less than 10 % is spare" in table.text(tight)
    assert "smaller batch" in table.text(tight)
    roomy = dataclasses.replace(plain, memory=plain.peak / 0.85)
    assert roomy.fits
    assert "compiled and fits (AOT, no hardware)" in table.verdict(roomy)
    refused = dataclasses.replace(roomy, refusal="Used 24G of 16G hbm")
    assert not refused.fits and "DOES NOT FIT: Used 24G" in table.verdict(refused)


def test_a_mesh_that_does_not_divide_is_the_first_to_blame(eight):
    config = small()
    config.mesh = {"fsdp": 8}
    divided = dataclasses.replace(only(config, eight), memory=1e-9)
    assert divided.whole < 0.1 and "lie whole" not in table.text(divided)
    # A width that 4 devices could share and 8 cannot.
    config.model.vlm.update(hidden_size=36, layers=4)
    odd = dataclasses.replace(only(config, eight), memory=1e-9)
    assert odd.whole > 0.5
    [first, *_] = table.advice(odd)
    assert first.startswith("a mesh that divides all parameters: ")
    assert "--config.mesh.data=-1 --config.mesh.fsdp=" in first


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("v5p64", "names are like"),
        ("v5p-60", "there are v5p-8, v5p-16"),
        ("v5e-24", "v5e-256"),
        ("h200-12", "h200-8, h200-16"),
        ("0xv5e-16", "no topology"),
        ("cpu-99", "add --simulate 99"),
    ],
)
def test_wrong_names(name, told):
    with pytest.raises(BridgeError, match=told):
        topology.find(name)


def test_grids_hold_their_chips():
    for grids in tpu.GRIDS.values():
        for chips, grid in grids.items():
            assert math.prod(int(side) for side in grid.split("x")) == chips


def test_the_command_writes_what_it_prints(tmp_path, capfd):
    config = str(miniature.file(small(), tmp_path))
    words = ("plan", "--config", config, "--topology", "cpu-8", "--topology", "cpu-4")
    assert main.main([*words, "--json", str(tmp_path / "plan.json")]) == 0
    plans = json.loads((tmp_path / "plan.json").read_text())
    assert [plan["topology"] for plan in plans] == ["cpu-8", "cpu-4"]
    assert all(plan["fits"] and plan["memory"] is None for plan in plans)
    assert "compiled in" in capfd.readouterr().out


def test_arithmetic_and_wires_do_not_depend_on_how_layers_run(eight):
    found = []
    for scan in (False, True):
        config = small()
        config.mesh = {"data": 1, "fsdp": 8}
        config.model.vlm.update(layers=4, scan=scan, remat="full")
        found.append(only(config, eight))
    unrolled, scanned = found
    assert scanned.flops == unrolled.flops and set(scanned.flops) == {"vision", "vlm"}
    # The vision tower is frozen and only looks; the rest goes there and back.
    assert 0 < scanned.flops["vision"] < scanned.flops["vlm"]
    for kind in ("all-gather", "all-reduce"):
        wanted = unrolled.wires[kind]
        assert scanned.wires[kind] == pytest.approx(wanted, rel=0.1), kind
    assert "a device receives" in table.text(scanned)


def test_parameters_are_gathered_as_often_as_they_must():
    """By hand: two kernels on two of four devices, one of them frozen."""
    mesh = jax.make_mesh((2, 2), ("a", "b"), devices=jax.devices()[:4])
    where = jax.NamedSharding(mesh, jax.P("a"))
    one, two = (jax.ShapeDtypeStruct((8, 4), "float32", sharding=where) for _ in "ab")
    whole = jax.ShapeDtypeStruct(
        (3,), "float32", sharding=jax.NamedSharding(mesh, jax.P())
    )
    program = types.SimpleNamespace(params=[one, two, whole], trainable=[one])
    assert fit.fsdp_bytes(program) == (3 + 1) * 2 * 32 / 2


def test_projections_take_the_slowest_of_three(eight, monkeypatch):
    config = small()
    peaks = {"flops": 1e3, "memory": 1e30, "link": 1e30}
    for slow in peaks:
        peak = hardware.Peak(**{name: 1e30 for name in peaks} | {slow: 1e3})
        monkeypatch.setitem(hardware.PEAKS, "cpu", peak)
        plan = only(config, eight)
        amount = {
            "flops": (sum(plan.flops.values()) + plan.again) / 8,
            "memory": plan.peak * topology.GIB,
            "link": sum(plan.wires.values()),
        }[slow]
        assert plan.projected == pytest.approx(amount / 1e3)
        assert "projected, not measured" in table.text(plan)


def test_sampling_is_three_programs(sampling, eight):
    names = [plan.program for plan in sampling]
    assert names == ["rewriting", "conditions", "painting, 25 steps"]
    rewriting, conditions, painting = sampling
    assert {"vlm", "aligner", "mt5"} <= set(conditions.flops)
    assert set(painting.flops) == {"dit", "vae"} and set(rewriting.flops) == {"vlm"}
    assert all(plan.trained == 0 and plan.fits for plan in sampling)
    # Painting reads neither the language model nor the aligner, and they stay.
    assert painting.peak > painting.state + painting.temporary
    lines = table.markdown(sampling).splitlines()
    assert len(lines) == 5 and all(line.count("|") == 9 for line in lines)
    # A later table renews its own rows, where they stand, and keeps the others.
    elsewhere = dataclasses.replace(rewriting, topology="v9-8")
    both = table.markdown([elsewhere], table.markdown(sampling)).splitlines()
    assert both[:5] == lines and "v9-8" in both[5]
    anew = dataclasses.replace(conditions, peak=1.25)
    added = dataclasses.replace(painting, program="more")
    mixed = table.markdown([anew, added], "\n".join(both)).splitlines()
    assert [mixed[i] for i in (0, 1, 2, 4, 6)] == [both[i] for i in (0, 1, 2, 4, 5)]
    assert ", 1.25, " in mixed[3] and "| more |" in mixed[5] and len(mixed) == 7
    with pytest.raises(BridgeError, match="sampling needs projector, aligner, mt5"):
        list(fit.plans(miniature.config(STAGE1), STAGE1, eight, "sampling"))


def test_painting_counts_every_step(sampling):
    """25 steps of two guided halves, which one call of the decoder says as well."""
    painting = sampling[-1]
    bundle = build.build(miniature.config("configs/shapes_stage2.py:tiny").model)
    dit = bundle["dit"]
    params = place.unbox(bundle.abstract())

    def once(params):
        condition = bundle.apply(
            "dit",
            params,
            *(dit.example[name] for name in ("clip_states", "clip_mask")),
            *(dit.example[name] for name in ("t5_states", "t5_mask")),
            method="encode_text",
        )
        with jax.named_scope("once"):
            latents, times = dit.example["latents"], dit.example["timesteps"]
            return bundle.apply(
                "dit", params, latents, times, condition, method="denoise"
            )

    count = flops.count(jax.jit(once).trace(params).jaxpr, ("once",))
    assert painting.flops["dit"] == 25 * 2 * 8 * count.parts["once"]


def test_mistakes_come_before_compiling(tmp_path, capsys):
    words = ["plan", "--config", STAGE1, "--topology", "cpu-8"]
    assert main.main([*words, "--json", str(tmp_path / "no" / "such" / "x.json")]) == 2
    assert "compiled" not in capsys.readouterr().out
    recipe = recipe_lib.make(miniature.config(STAGE1))
    del recipe.config.streams["main"]["batch"]
    with pytest.raises(BridgeError, match="streams.main says no batch"):
        abstract.batch(recipe)


def test_a_tpu_is_compiled_for():
    pytest.importorskip("libtpu", reason="libtpu is the optional extra `plan`")
    where = topology.find("v5e-4")
    assert {device.device_kind for device in where.devices} == {"TPU v5 lite"}
    config = miniature.config(STAGE1)
    plan = only(config, where)
    assert plan.fits and 0 < plan.peak < 1
    # A vocabulary whose table and moments alone are more than a device has.
    config.model.vlm.vocab_size = 2**27
    plan = only(config, where)
    assert not plan.fits and "out of memory" in plan.refusal
    assert "DOES NOT FIT" in table.text(plan)


def test_a_gpu_is_compiled_for():
    reason = "jax's CUDA plug-in is the optional extra `plan-gpu`"
    pytest.importorskip("jax_plugins.xla_cuda12", reason=reason)
    where = topology.find("h200-16")
    assert len(where.devices) == 16
    assert {device.device_kind for device in where.devices} == {"NVIDIA H200"}
    config = miniature.config(STAGE1)
    config.streams.main.batch = config.streams.caption.batch = 16
    plan = only(config, where)
    assert plan.fits and 0 < plan.peak < 1 and plan.projected > 0
    assert where.memory == gpu.KINDS["h200"].memory == pytest.approx(141, abs=0.1)
