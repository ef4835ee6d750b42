import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from bridge_jax.core.errors import BridgeError
from bridge_jax.layers import linear
from bridge_jax.sharding import mesh, place, rules


def make(key, width=16):
    dense = linear.Dense(8, ("embed", "mlp"), use_bias=True)
    return {"dense": dense.init(key, jnp.ones((1, width)))["params"]}


def test_mesh_takes_the_rest_and_refuses_what_does_not_fit():
    made = mesh.make_mesh({"data": -1, "tensor": 2})
    assert dict(made.shape) == {"data": 4, "fsdp": 1, "sequence": 1, "tensor": 2}
    for sizes, text in (
        ({"data": 3}, "does not fit 8 device"),
        ({"data": -1, "fsdp": -1}, "at most one is -1"),
        ({"data": -1, "fsdp": 3}, "does not fit"),
        ({"dta": 8}, "did you mean 'data'"),
    ):
        with pytest.raises(BridgeError, match=text):
            mesh.make_mesh(sizes)


def test_slices_are_the_outer_part_of_their_axis():
    """Neighbours along "data" lie in two slices, those along "fsdp" in one."""
    devices = jax.devices()
    made = mesh.make_mesh({"data": 2, "fsdp": -1, "dcn": {"data": 2}})
    assert dict(made.shape) == {"data": 4, "fsdp": 2, "sequence": 1, "tensor": 1}
    found = [[device.id for device in row] for row in made.devices[:, :, 0, 0]]
    first = [device.id for device in devices]
    assert found == [first[0:2], first[2:4], first[4:6], first[6:8]]
    across = mesh.make_mesh({"data": 2, "fsdp": 2, "dcn": {"fsdp": 2}})
    found = [[device.id for device in row] for row in across.devices[:, :, 0, 0]]
    assert found == [first[0:2] + first[4:6], first[2:4] + first[6:8]]
    for sizes, text in (
        ({"dcn": {"data": 3}}, "do not form 3 equal slices"),
        ({"data": 8, "dcn": {"data": 2}}, "does not fit 4 device"),
        ({"dcn": {"dta": 2}}, "mesh dcn axis 'dta'; did you mean 'data'|dcn axis"),
    ):
        with pytest.raises(BridgeError, match=text):
            mesh.make_mesh(sizes)


def test_every_table_names_the_same_axes():
    names = {name: {axis for axis, _ in table} for name, table in rules.TABLES.items()}
    assert len({frozenset(axes) for axes in names.values()}) == 1
    with pytest.raises(BridgeError, match="did you mean 'fsdp'"):
        rules.table("fdsp")


def test_parameters_lie_by_their_names_and_values_do_not_depend_on_it():
    alone = place.init(
        place.make({}, devices=jax.devices()[:1]), make, jax.random.key(0)
    )
    layout = place.make({"data": 2, "fsdp": 2, "tensor": 2}, strict=True)
    params = place.init(layout, make, jax.random.key(0))
    kernel = params["dense"]["kernel"]
    assert isinstance(kernel, jax.Array)
    assert kernel.sharding.spec == P(("fsdp",), ("tensor",))
    assert params["dense"]["bias"].sharding.spec == P(("tensor",))
    np.testing.assert_array_equal(kernel, alone["dense"]["kernel"])
    boxed = jax.eval_shape(make, jax.random.key(0))
    host = jax.tree.map(np.asarray, params)
    again = place.put_params(layout, host, boxed)
    assert again["dense"]["kernel"].sharding == kernel.sharding


def several_odd():
    return {name: make(jax.random.key(0), 12) for name in "abc"}


def test_what_does_not_divide_stays_whole_and_is_said(capsys):
    def odd(key):
        return make(key, 15)

    layout = place.make({"fsdp": -1})
    params = place.init(layout, odd, jax.random.key(0))
    assert params["dense"]["kernel"].sharding.is_fully_replicated
    said = capsys.readouterr().out
    assert "dense/kernel: axis 'embed' of 15 does not divide by 8 (fsdp)" in said
    assert said.count("\n") == 1
    layout.shardings(jax.eval_shape(several_odd))
    [line] = capsys.readouterr().out.splitlines()
    assert line.startswith("sharding: a/dense/kernel and 2 more: axis 'embed' of 12")
    assert line.endswith("make it a multiple of 8, or fsdp 4")
    strict = place.make({"fsdp": -1}, strict=True)
    with pytest.raises(BridgeError, match="dense/kernel.*make it a multiple of 8"):
        place.init(strict, odd, jax.random.key(0))


def test_unknown_name_is_an_error():
    def wrong(key):
        dense = linear.Dense(8, ("embd", "mlp"))
        return dense.init(key, jnp.ones((1, 4)))["params"]

    with pytest.raises(BridgeError, match="kernel: unknown logical axis 'embd'.*embed"):
        place.init(place.make({"data": -1}), wrong, jax.random.key(0))


def test_batches_spread_over_data_and_fsdp():
    layout = place.make({"data": 4, "fsdp": 2})
    batch = layout.put_batch({"x": np.arange(16.0).reshape(16, 1), "step": np.int32(3)})
    assert batch["x"].sharding.spec == P(("data", "fsdp"))
    assert batch["x"].addressable_shards[0].data.shape == (2, 1)
    assert batch["step"].sharding.is_fully_replicated
    np.testing.assert_array_equal(batch["x"][:, 0], np.arange(16.0))
    with pytest.raises(BridgeError, match="batch of 6 does not divide over 8 devices"):
        layout.put_batch({"x": np.ones((6, 2))})


def test_sequence_tables_cut_activations_along_the_text():
    made = mesh.make_mesh({"data": 2, "fsdp": 2, "sequence": 2})
    names, shape = ("batch", "seq", "embed"), (8, 16, 32)
    for name, cut in (("fsdp", None), ("fsdp_sp", ("sequence",))):
        spec, problems = rules.resolve(names, shape, rules.table(name), made)
        assert spec == P(("data", "fsdp"), cut, None) and not problems
    kernel, _ = rules.resolve(("embed", "mlp"), (32, 64), rules.table("fsdp_sp"), made)
    assert kernel == P(("fsdp",), None)


def test_a_mesh_that_the_torus_does_not_allow_is_told(monkeypatch):
    """As a v6e-256, 16 x 16 chips, is asked for data=2."""

    def make_mesh(*given, **rest):
        raise RuntimeError("Failed to find assignment")

    class Chip:
        def __init__(self, number):
            self.coords = (number % 4, number // 4, 0)

    monkeypatch.setattr(jax, "make_mesh", make_mesh)
    chips = [Chip(number) for number in range(8)]
    with pytest.raises(BridgeError) as told:
        mesh.make_mesh({"data": -1}, devices=chips)
    assert "torus of 4 x 2:" in str(told.value) and "data=4 and fsdp" in str(told.value)
