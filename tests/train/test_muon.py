"""Stacks of kernels get what each would get alone."""

import jax
import numpy as np
import optax.contrib
import pytest

from bridge_jax.core import hardware
from bridge_jax.train import muon

SHAPES = {
    "layer_0": {"q": (6, 4), "convolution": (3, 3, 2, 5)},
    "layer_1": {"q": (6, 4), "gate": (4, 9)},
    "layer_2": {"q": (6, 4), "gate": (4, 8)},
}


@pytest.fixture
def kernels():
    draw = np.random.default_rng(0)
    return {
        layer: {
            name: {"kernel": draw.normal(size=shape).astype(np.float32)}
            for name, shape in named.items()
        }
        for layer, named in SHAPES.items()
    }


def alone(kernel):
    return optax.contrib.MuonDimensionNumbers(
        tuple(range(kernel.ndim - 1)), kernel.ndim - 1
    )


@pytest.mark.parametrize("largest", [999, 48, 1])
def test_it_is_optaxs_rule(kernels, largest, monkeypatch):
    monkeypatch.setattr(muon, "LARGEST_STACK", largest)
    mine = muon.scale_by_muon(0.9)
    theirs = optax.contrib.scale_by_muon(
        beta=0.9, weight_dimension_numbers=lambda tree: jax.tree.map(alone, tree)
    )
    one, two = mine.init(kernels), theirs.init(kernels)
    my_update, their_update = jax.jit(mine.update), jax.jit(theirs.update)
    for step in range(3):
        gradients = jax.tree.map(lambda k, phase=step + 9: np.cos(phase * k), kernels)
        made, one = my_update(gradients, one)
        wanted, two = their_update(gradients, two)
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
            (made, one.mu),
            (wanted, two.mu),
        )


def products(kernels, largest, monkeypatch):
    monkeypatch.setattr(muon, "LARGEST_STACK", largest)
    lowered = jax.jit(lambda tree: muon.orthogonalised(tree)).lower(kernels)
    return lowered.compile().as_text().count(" dot(")


def test_kernels_of_one_role_share_their_products(kernels, monkeypatch):
    each = products(kernels, 1, monkeypatch) // 6
    assert each > 0
    assert products(kernels, 99, monkeypatch) == 4 * each


@pytest.mark.parametrize("one_cpu", [True, False])
def test_its_products_may_be_of_bfloat16(kernels, one_cpu, monkeypatch):
    monkeypatch.setattr(hardware, "is_one_cpu", lambda: one_cpu)

    def program():
        lowered = jax.jit(lambda tree: muon.orthogonalised(tree)).lower(kernels)
        return lowered.as_text()

    assert "xbf16>" not in program()
    with jax.default_matmul_precision("BF16_BF16_F32"):
        assert ("xbf16>" in program()) == one_cpu
