"""Programs that mostly multiply large matrices are compiled with Eigen, on one CPU."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bridge_jax.core import flops, hardware, multipliers
from bridge_jax.inference.engine import Engine
from bridge_jax.train import optim, step
from tests import miniature, toy

ROWS, WIDTH, WIDER = 768, 512, 2048  # the least that is large
X, KERNEL = np.zeros((ROWS, WIDTH), np.float32), np.zeros((WIDTH, WIDER), np.float32)


@pytest.fixture(autouse=True)
def one_cpu(monkeypatch):
    monkeypatch.setattr(hardware, "is_one_cpu", lambda: True)


def options(function, *arguments):
    return multipliers.options(jax.jit(function).trace(*arguments).jaxpr)


def product(x, kernel):
    return x @ kernel


def test_large_products_have_eigen_on_one_cpu_alone(monkeypatch):
    assert options(product, X, KERNEL)
    assert not options(product, X[1:], KERNEL)
    assert not options(product, X, KERNEL[:, 1:-300])
    assert not options(product, *(one.astype(jnp.bfloat16) for one in (X, KERNEL)))
    monkeypatch.setattr(hardware, "is_one_cpu", lambda: False)
    assert not options(product, X, KERNEL)


def test_large_products_have_to_be_most_of_a_program():
    def with_small_ones(x, kernel, count):
        few = x[: ROWS // 2]
        small = sum(jnp.sum(few @ (kernel + i)) for i in range(count))
        return jnp.sum(x @ kernel) + small

    assert options(lambda *both: with_small_ones(*both, 1), X, KERNEL)
    assert not options(lambda *both: with_small_ones(*both, 3), X, KERNEL)


def test_stacks_of_matrices_are_none():
    stacks = np.zeros((2, ROWS, WIDER)), np.zeros((2, WIDER, WIDER))
    assert not options(product, *stacks)


def test_of_a_loop_that_ends_by_itself_nobody_knows():
    def until(x, kernel):
        def turn(x):
            return jnp.tanh(x @ kernel)[:, :WIDTH]

        return jax.lax.while_loop(lambda x: jnp.sum(x) < 1.0, turn, x)

    def counted(x, kernel):
        def turn(x, _):
            return jnp.tanh(x @ kernel)[:, :WIDTH], None

        return jax.lax.scan(turn, x, length=3)[0]

    assert not options(until, X, KERNEL)
    assert not options(jax.jit(until), X, KERNEL)
    assert options(counted, X, KERNEL)


def test_sizes_are_of_rows_what_is_summed_and_columns():
    traced = jax.jit(lambda x, y: jnp.einsum("abk,kcd->abcd", x, y)).trace(
        np.zeros((2, 3, 5), np.float32), np.zeros((5, 7, 11), np.float32)
    )
    wanted = flops.Matrices(6, 5, 77, np.dtype(np.float32))
    assert list(flops.products(traced.jaxpr)) == [(2.0 * 6 * 5 * 77, wanted)]


def test_the_compiler_takes_the_options_and_multiplies_otherwise():
    chosen = options(product, X, KERNEL)
    programs = [
        jax.jit(product, compiler_options=given).lower(X, KERNEL).compile()
        for given in ({}, chosen)
    ]
    usual, eigens = (program.as_text() for program in programs)
    assert "ynn_fusion" in usual
    assert "ynn_fusion" not in eigens and " dot(" in eigens
    rng = np.random.default_rng(0)
    x, kernel = (rng.standard_normal(one.shape, np.float32) for one in (X, KERNEL))
    one, other = (program(x, kernel / WIDTH**0.5) for program in programs)
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_what_xla_does_not_know_or_was_told_otherwise_is_left_out(monkeypatch):
    flag = f"--{multipliers._NAME}"
    monkeypatch.setenv("XLA_FLAGS", f"{flag}=-reduce")
    assert not options(product, X, KERNEL)
    monkeypatch.setenv("XLA_FLAGS", "")
    assert options(product, X, KERNEL)
    monkeypatch.setattr(multipliers, "_EIGEN", {"xla_cpu_no_such_option": "1"})
    multipliers._is_known.cache_clear()
    assert not options(product, X, KERNEL)
    multipliers._is_known.cache_clear()


@pytest.fixture
def asked(monkeypatch):
    """The programs that were asked about, none of them large."""
    programs = []

    def nothing(program):
        programs.append(program)
        return {}

    monkeypatch.setattr(multipliers, "options", nothing)
    return programs


def test_a_training_step_is_asked_about_once(asked):
    where = toy.layout(1)
    state, optimizer = toy.fresh(where, optim.OptimConfig(learning_rate=1e-2))
    one = step.Step(toy.loss_fn, optimizer, where)
    batch = where.put_batch(next(toy.data()))
    state, _ = one(state, batch)
    one(state, batch)
    assert len(asked) == 1


def test_an_engines_program_is_asked_about_once_a_shape(asked):
    bundle = miniature.bundle("projector")
    engine = Engine(bundle, miniature.PROCESSOR, toy.layout(1))
    ran = []

    def doubled(bundle, params, batch, shared, *, times):
        ran.append(batch.shape)
        return batch * times

    for rows in (8, 8, 16):
        found = engine.run(doubled, {}, np.ones(rows, np.float32), {}, times=2)
        np.testing.assert_array_equal(found, np.full(rows, 2.0))
    assert len(asked) == 2
    assert ran == [(8,), (16,)]  # nothing is traced twice
