"""Products of matrices: what they are, and in which way CPUs make those of bfloat16."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from bridge_jax.core import hardware
from bridge_jax.layers import products

# What is multiplied, by numpy, and the shapes of two factors, the rest of the stack
# before them.
KINDS = {
    products.product: (lambda x, y: x @ y, (6, 5), (5, 7)),
    products.of_columns: (lambda x, y: x.mT @ y, (6, 5), (6, 7)),
    products.of_rows: (lambda x, y: x @ y.mT, (6, 5), (7, 5)),
}
HALF = 2.0**-8  # half a unit in bfloat16's last place, of 1


@pytest.fixture(params=[True, False], ids=["one_cpu", "others"])
def one_cpu(request, monkeypatch):
    """Whether products believe that there is one CPU and nothing else."""
    monkeypatch.setattr(hardware, "is_one_cpu", lambda: request.param)
    return request.param


def given(kind, dtype, stack=()):
    rng = np.random.default_rng(0)
    _, *shapes = KINDS[kind]
    return [jnp.asarray(rng.normal(size=(*stack, *one)), dtype) for one in shapes]


def fresh(function):
    """Jitted, and traced anew: what a patch changes is not known to be another."""
    return jax.jit(lambda *arguments: function(*arguments))


def exact(kind, factors):
    return KINDS[kind][0](*(np.asarray(one, np.float64) for one in factors))


@pytest.mark.usefixtures("one_cpu")
@pytest.mark.parametrize("stack", [(), (3,), (2, 3)])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", KINDS)
def test_they_are_products(kind, dtype, stack):
    factors = given(kind, dtype, stack)
    found = fresh(kind)(*factors)
    of_rows = kind is products.of_rows
    assert found.dtype == ("float32" if of_rows else dtype)
    wanted = exact(kind, factors)
    # Sums are float32: only what is returned is rounded to bfloat16.
    error = HALF if dtype == "bfloat16" and not of_rows else 1e-6
    np.testing.assert_allclose(
        np.asarray(found, np.float64), wanted, rtol=error, atol=1e-6
    )


@pytest.mark.usefixtures("one_cpu")
@pytest.mark.parametrize("stack", [(), (2, 3)])
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_bfloat16_are_those_of_float32_but_for_rounding(kind, stack):
    def loss(x, y):
        return jnp.sum(jnp.sin(kind(x, y).astype(jnp.float32)))

    factors = given(kind, "bfloat16", stack)
    found = jax.jit(jax.grad(loss, (0, 1)))(*factors)
    wanted = jax.jit(jax.grad(loss, (0, 1)))(
        *(one.astype("float32") for one in factors)
    )
    for one, other in zip(found, wanted, strict=True):
        assert one.dtype == "bfloat16"
        scale = float(jnp.abs(other).max())
        np.testing.assert_allclose(
            np.asarray(one, np.float32), other, rtol=0, atol=6 * HALF * scale
        )


def products_in(program):
    """(dtypes of both factors, dtype of the product) of each in a program's text."""
    types = r"tensor<[\dx]+x(\w+)>"
    pattern = rf"stablehlo\.dot_general.*\({types}, {types}\) -> {types}"
    return [found.groups() for found in re.finditer(pattern, program)]


@pytest.mark.parametrize("kind", KINDS)
def test_on_one_cpu_products_of_bfloat16_are_asked_for_in_float32(kind, one_cpu):
    def loss(x, y):
        return jnp.sum(kind(x, y).astype(jnp.float32) ** 2)

    factors = given(kind, "bfloat16", (2,))
    program = jax.jit(jax.grad(loss, (0, 1))).lower(*factors).as_text()
    assert len(products_in(program)) == 3
    assert (set(products_in(program)) == {("bf16", "bf16", "f32")}) == one_cpu
    assert ("LayoutConstraint" in program) == one_cpu


@pytest.mark.usefixtures("one_cpu")
def test_float32_is_left_to_the_compiler():
    program = fresh(products.product).lower(*given(products.product, "float32"))
    assert products_in(program.as_text()) == [("f32", "f32", "f32")]
    assert "LayoutConstraint" not in program.as_text()


def blocks_in(rows, features):
    """How a product of rows by a matrix is written: as how many blocks of it."""
    rng = np.random.default_rng(0)
    x, y = (
        jnp.asarray(rng.normal(0, scale, shape), jnp.float32)
        for scale, shape in ((1, (rows, features)), (1 / 16, (features, 512)))
    )
    found = fresh(products.product)
    np.testing.assert_allclose(found(x, y), x @ y, rtol=1e-5, atol=1e-5)
    batched = re.search(r"batching_dims = \[0\].*: \(tensor<(\d+)x", text(found, x, y))
    return int(batched[1]) if batched else 1


def text(function, *arguments):
    return function.lower(*arguments).as_text()


def test_on_one_cpu_threads_share_the_matrix_of_a_single_row(one_cpu):
    assert blocks_in(1, 256) == (4 if one_cpu else 1)


@pytest.mark.parametrize(
    ("rows", "features"), [(2, 256), (1, 252), (1, 258)], ids=["two", "small", "odd"]
)
def test_other_matrices_are_whole(rows, features, monkeypatch):
    monkeypatch.setattr(hardware, "is_one_cpu", lambda: True)
    assert blocks_in(rows, features) == 1


def test_gradients_of_a_single_row_are_those_of_the_whole_matrix(monkeypatch):
    monkeypatch.setattr(hardware, "is_one_cpu", lambda: True)
    rng = np.random.default_rng(1)
    x, y = (
        jnp.asarray(rng.normal(0, scale, shape), jnp.float32)
        for scale, shape in ((1, (1, 256)), (1 / 16, (256, 512)))
    )

    def loss(product, x, y):
        return jnp.sum(jnp.sin(product(x, y)))

    found = jax.jit(jax.grad(lambda x, y: loss(products.product, x, y), (0, 1)))(x, y)
    wanted = jax.jit(jax.grad(lambda x, y: loss(jnp.matmul, x, y), (0, 1)))(x, y)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("precision", ["BF16_BF16_F32", "float32"])
@pytest.mark.parametrize("kind", KINDS)
def test_float32_can_be_multiplied_in_bfloat16(kind, precision, one_cpu):
    """As jax's own setting asks: factors are rounded, in the gradients' products, too,
    and what comes out is float32."""

    def loss(x, y):
        return jnp.sum(jnp.sin(kind(x, y)))

    factors = given(kind, "float32", (2,))
    with jax.default_matmul_precision(precision):
        program = jax.jit(jax.value_and_grad(loss, (0, 1))).lower(*factors)
        rounds = one_cpu and precision != "float32"
        wanted = ("bf16", "bf16", "f32") if rounds else ("f32", "f32", "f32")
        assert products_in(program.as_text()) == [wanted] * 3
        found = fresh(kind)(*factors)
        gradients = jax.jit(jax.grad(loss, (0, 1)))(*factors)
    assert {one.dtype for one in (found, *gradients)} == {jnp.dtype("float32")}
    rounded = [one.astype("bfloat16") for one in factors]
    near = exact(kind, rounded if rounds else factors)
    np.testing.assert_allclose(found, near, rtol=1e-5, atol=1e-5)
    if rounds:
        assert np.abs(found - exact(kind, factors)).max() > 1e-3


@pytest.mark.parametrize(
    ("platform", "devices", "is_one"),
    [("cpu", 1, True), ("cpu", 8, False), ("tpu", 1, False), ("gpu", 1, False)],
)
def test_what_is_one_cpu(platform, devices, is_one, monkeypatch):
    monkeypatch.setattr(hardware, "platform", lambda: platform)
    monkeypatch.setattr(jax, "device_count", lambda: devices)
    assert hardware.is_one_cpu() == is_one


def test_shards_stay_where_they_are():
    """Rows over four devices, the kernel's columns over two: nothing is gathered."""
    mesh = Mesh(np.array(jax.devices()[:8]).reshape(4, 2), ("rows", "columns"))
    x = jnp.ones((8, 16), jnp.bfloat16)
    y = jnp.ones((16, 4), jnp.bfloat16)
    where = [
        NamedSharding(mesh, PartitionSpec(*axes))
        for axes in (("rows", None), (None, "columns"))
    ]
    x, y = (jax.device_put(one, s) for one, s in zip((x, y), where, strict=True))
    program = jax.jit(
        products.product,
        out_shardings=NamedSharding(mesh, PartitionSpec("rows", "columns")),
    )
    text = program.lower(x, y).compile().as_text()
    assert not re.search(r"all-gather|all-reduce|all-to-all|collective", text)
    assert (program(x, y) == 16).all()
