import functools
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import toy
from jax.sharding import PartitionSpec as P

from bridge_jax.core import compiler, term
from bridge_jax.core.errors import BridgeError
from bridge_jax.train import optim, spikes, step
from bridge_jax.train import state as train_state


def close(first, second, **tolerance):
    for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
        np.testing.assert_allclose(a, b, **tolerance)


def updated(optimizer):
    """Gradients, its state, parameters -> what a good step adds, and its next state."""
    return jax.jit(functools.partial(optimizer.transform.update, good=True))


@pytest.mark.parametrize("parts", [2, 4])
def test_accumulation_equals_the_big_batch(parts):
    """Masks make the micro-batches weigh differently: a mean of means would fail."""
    where = toy.layout(2)
    config = optim.OptimConfig(learning_rate=1e-2)
    results = []
    for accumulate in (1, parts):
        state, optimizer = toy.fresh(where, config)
        batch = where.put_batch(next(toy.data()))
        run = step.Step(toy.loss_fn, optimizer, where, accumulate)
        state, figures = run(state, batch)
        results.append((state.params, state.opt_state, figures))
    for pair in zip(*(result[:2] for result in results), strict=True):
        close(*pair, rtol=2e-5, atol=1e-7)
    first, second = (dict(result[2]) for result in results)
    # A maximum is no sum: its window is the mean of the micro-batches' maxima.
    first.pop("fit/largest"), second.pop("fit/largest")
    close(first, second, rtol=1e-5)


def test_accumulation_forgets_nothing_of_bfloat16():
    where = toy.layout(1)
    params = {"slope": jnp.ones((), jnp.bfloat16)}
    optimizer = optim.make(optim.OptimConfig(), params, 1)
    state = train_state.create(params, optimizer, 0, where)
    rows = np.array([256.0] + 15 * [1.0], np.float32)  # 256 + 1 is 256 in bfloat16

    def loss(params, batch, rngs, at):
        count = jnp.float32(len(batch["x"]))
        return {"loss": (1.0, term.Term((params["slope"] * batch["x"]).sum(), count))}

    _, figures = step.Step(loss, optimizer, where, 16)(
        state, where.put_batch({"x": rows})
    )
    assert figures["gradient_norm"][0] == rows.mean()


def test_accumulation_refuses_coupled_terms_and_odd_batches():
    where = toy.layout(1)

    def coupled(*given):
        coefficient, fit = toy.loss_fn(*given)["fit"]
        return {"contrast": (coefficient, fit.replace(splittable=False))}

    state, optimizer = toy.fresh(where)
    batch = where.put_batch(next(toy.data()))
    with pytest.raises(BridgeError, match="would change contrast"):
        step.Step(coupled, optimizer, where, 2)(state, batch)
    with pytest.raises(BridgeError, match="16 does not split into accumulate=3"):
        step.Step(toy.loss_fn, optimizer, where, 3)(state, batch)


def test_not_finite_leaves_the_state_as_it_was():
    where = toy.layout()
    config = optim.OptimConfig(ema_decay=0.9, weight_decay=0.1)
    state, optimizer = toy.fresh(where, config)
    run = step.Step(toy.loss_fn, optimizer, where)
    batch = next(toy.data())
    state, _ = run(state, where.put_batch(batch))
    before = jax.tree.map(np.array, state)
    broken = batch | {"x": np.where(np.arange(8) == 1, np.nan, batch["x"])}
    state, figures = run(state, where.put_batch(broken))
    for name in ("params", "opt_state", "ema"):
        for old, new in zip(
            jax.tree.leaves(getattr(before, name)),
            jax.tree.leaves(getattr(state, name)),
            strict=True,
        ):
            np.testing.assert_array_equal(old, np.asarray(new))
    assert (state.step, state.skipped) == (2, 1)
    assert figures["skipped"][0] == 1 and figures["loss"] == (0, 0)
    state, figures = run(state, where.put_batch(batch))
    assert (state.step, state.skipped) == (3, 1) and figures["skipped"][0] == 0
    assert run.traces == 1


def test_a_spike_leaves_the_state_as_it_was():
    where = toy.layout()
    rule = spikes.Rule(sigmas=6.0, window=8)
    config = optim.OptimConfig(ema_decay=0.9, learning_rate=1e-3, spikes=rule)
    state, optimizer = toy.fresh(where, config)
    run = step.Step(toy.loss_fn, optimizer, where)
    data = toy.data()
    for _ in range(6):
        state, figures = run(state, where.put_batch(next(data)))
        assert figures["skipped"][0] == 0
    norms = np.asarray(state.norms)
    assert np.isfinite(norms).sum() == 6
    before = jax.tree.map(np.array, state)
    batch = next(data)
    state, figures = run(state, where.put_batch(batch | {"y": 1e3 * batch["y"]}))
    assert figures["skipped"][0] == 1 and np.isfinite(figures["gradient_norm"][0])
    assert (int(state.step), int(state.skipped)) == (7, 1)
    for name in ("params", "opt_state", "ema", "norms"):
        same = jax.tree.map(
            lambda a, b: np.array_equal(a, b, equal_nan=True),
            getattr(before, name),
            getattr(state, name),
        )
        assert all(jax.tree.leaves(same)), name
    state, figures = run(state, where.put_batch(next(data)))
    assert figures["skipped"][0] == 0 and np.isfinite(state.norms).sum() == 7


def test_nothing_is_a_spike_before_half_of_the_window_is_known():
    rule = spikes.Rule(sigmas=3.0, window=8)
    norms = rule.fresh()
    for updates in range(8):
        known = updates >= 4
        assert bool(rule.is_spike(norms, jnp.float32(50.0))) is known
        assert not rule.is_spike(norms, jnp.float32(1.9))  # less than twice the mean
        norms = rule.remember(norms, jnp.float32(1.0), jnp.int32(updates))
    assert spikes.Rule().fresh() is None


def test_frozen_parts_have_no_gradient_and_no_optimiser_state():
    where = toy.layout()
    config = optim.OptimConfig(
        learning_rate=0.1, trainable=(("first/.*", False), (".*", True)), ema_decay=0.9
    )
    state, optimizer = toy.fresh(where, config)
    sizes = {leaf.size for leaf in jax.tree.leaves(state.opt_state)}
    assert sizes == {1, 64, 4}  # counters, and the second layer's kernel and bias
    assert set(state.ema) == {"second"}
    before = jax.tree.map(np.array, state.params)
    run = step.Step(toy.loss_fn, optimizer, where)
    state, _ = run(state, where.put_batch(next(toy.data())))
    np.testing.assert_array_equal(
        before["first"]["kernel"], state.params["first"]["kernel"]
    )
    assert (before["second"]["kernel"] != state.params["second"]["kernel"]).all()


def test_parts_initialised_from_each_other_share_no_memory():
    where = toy.layout()
    kernel = jax.device_put(jnp.ones((8, 8)), where.replicated)
    params = {"a": kernel, "b": jax.device_put(kernel, kernel.sharding)}
    made = train_state.create(
        params, optim.make(optim.OptimConfig(), params, 9), 0, where
    )
    donated = jax.jit(lambda p: jax.tree.map(jnp.sin, p), donate_argnums=0)(made.params)
    assert donated["b"].sharding == kernel.sharding
    np.testing.assert_array_equal(donated["a"], donated["b"])


def test_moments_lie_where_their_parameter_lies():
    where = toy.layout(8, data=2, fsdp=2, tensor=2)
    state, _ = toy.fresh(where)
    moments = next(
        leaf
        for path, leaf in jax.tree_util.tree_leaves_with_path(state.opt_state)
        if "first" in str(path) and "kernel" in str(path)
    )
    kernel = state.params["first"]["kernel"]
    assert kernel.sharding.spec == P("fsdp", "tensor")
    assert moments.sharding == kernel.sharding


def test_logical_constraints_reach_the_program():
    where = toy.layout(8, data=4, tensor=2)
    state, _ = toy.fresh(where)
    batch = where.put_batch(next(toy.data()))

    def forward(params, x):
        return toy.Toy().apply({"params": params}, x)

    with where.scope():
        jaxpr = jax.make_jaxpr(forward)(state.params, batch["x"])
    found = [e.params["sharding"].spec for e in jaxpr.eqns if "constraint" in str(e)]
    assert P(("data", "fsdp"), "tensor") in found


def test_rates_scale_and_decay_spares_vectors():
    where = toy.layout(1)
    rates = (("first/.*", 0.0), (".*", 1.0))
    config = optim.OptimConfig(learning_rate=0.1, rates=rates, weight_decay=0.5)
    state, optimizer = toy.fresh(where, config)
    trainable = state.params
    zeros = jax.tree.map(jnp.zeros_like, trainable)
    updates, _ = updated(optimizer)(zeros, state.opt_state, trainable)
    assert not updates["first"]["kernel"].any() and not updates["second"]["bias"].any()
    rate = optimizer.schedule(0)
    np.testing.assert_allclose(
        updates["second"]["kernel"],
        -rate * 0.5 * trainable["second"]["kernel"],
        rtol=1e-6,
    )


def test_adamw_is_optax_adamw():
    where = toy.layout(1)
    config = optim.OptimConfig(
        learning_rate=0.1, schedule="constant", weight_decay=0.01, clip_norm=0.0
    )
    state, optimizer = toy.fresh(where, config)
    params = state.params
    reference = optax.adamw(
        0.1, weight_decay=0.01, mask=jax.tree.map(lambda p: p.ndim > 1, params)
    )
    gradients = jax.tree.map(lambda p: jnp.cos(p * 9), params)
    mine, theirs = state.opt_state, reference.init(params)
    ours, adamw = updated(optimizer), jax.jit(reference.update)
    for _ in range(3):
        update, mine = ours(gradients, mine, params)
        wanted, theirs = adamw(gradients, theirs, params)
        close(update, wanted, rtol=1e-6)


@pytest.mark.parametrize("name", ["adamw", "muon", "lion", "adafactor"])
def test_every_optimiser_learns_but_from_what_is_no_number(name):
    where = toy.layout(2)
    config = optim.OptimConfig(name=name, learning_rate=1e-2, schedule="constant")
    state, optimizer = toy.fresh(where, config)
    run = step.Step(toy.loss_fn, optimizer, where)
    batch = where.put_batch(next(toy.data()))
    losses = []
    for _ in range(30):
        state, figures = run(state, batch)
        losses.append(float(figures["loss"][0]))
    assert losses[-1] < 0.7 * losses[0]
    before = jax.tree.map(np.array, (state.params, state.opt_state))
    state, figures = run(state, jax.tree.map(lambda leaf: leaf * jnp.nan, batch))
    assert figures["skipped"][0] == 1
    same = jax.tree.map(np.array_equal, before, (state.params, state.opt_state))
    assert all(jax.tree.leaves(same))


def test_moments_and_averages_are_written_where_they_lie():
    """Selected after the update, as optax's own Adam must be, they are copied first."""
    several = compiler.OPTIONS["--xla_backend_extra_options"]
    flags = os.environ["XLA_FLAGS"].replace(several, "xla_none")
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("copies.py"))],
        env=os.environ | {"XLA_FLAGS": flags},
        cwd=Path(__file__).parents[2],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    ours, late = map(int, done.stdout.split())
    assert ours == 0 < late


@pytest.mark.parametrize(
    ("schedule", "last"), [("cosine", 0.1), ("linear", 0.1), ("constant", 1.0)]
)
def test_schedules(schedule, last):
    config = optim.OptimConfig(
        learning_rate=2.0, schedule=schedule, warmup_steps=4, final_fraction=0.1
    )
    rate = optim.make_schedule(config, 20)
    np.testing.assert_allclose([rate(i) for i in range(4)], [0.5, 1.0, 1.5, 2.0])
    np.testing.assert_allclose(rate(4), 2.0)
    np.testing.assert_allclose(rate(20), 2.0 * last, rtol=1e-6)


def test_optimiser_mistakes():
    params = {"a": {"kernel": jnp.ones((2, 2))}}
    with pytest.raises(BridgeError, match="'b/.*' matches no parameter.*a/kernel"):
        optim.make(optim.OptimConfig(trainable=(("b/.*", True),)), params, 10)
    with pytest.raises(BridgeError, match="every parameter is frozen"):
        optim.make(optim.OptimConfig(trainable=((".*", False),)), params, 10)
    with pytest.raises(BridgeError, match="leaves nothing"):
        optim.make(optim.OptimConfig(warmup_steps=10), params, 10)


def test_flops_are_those_of_the_matmuls():
    where = toy.layout(1)
    state, optimizer = toy.fresh(where)
    run = step.Step(toy.loss_fn, optimizer, where)
    run.compile(state, where.put_batch(next(toy.data())))
    # forward, and two matmuls backward except for the input of the first layer
    matmuls = 2 * 16 * (2 * 8 * 16 + 3 * 16 * 4)
    assert run.flops == matmuls
    assert np.isfinite(float(term.divide(jnp.ones(()), jnp.zeros(()))))


def test_micro_batches_do_not_change_the_count_of_flops():
    where = toy.layout(1)
    found = []
    for parts in (1, 4):
        state, optimizer = toy.fresh(where)
        run = step.Step(toy.loss_fn, optimizer, where, parts)
        run.compile(state, where.put_batch(next(toy.data())))
        found.append(run.flops)
    assert found[0] == found[1]


@pytest.mark.parametrize("outside", ["highest", "BF16_BF16_F32"])
@pytest.mark.parametrize("asked", ["", "highest", "BF16_BF16_F32"])
def test_products_are_as_precise_as_is_asked(asked, outside):
    """In forward and backward pass and in Muon; or as precise as jax itself says."""
    where = toy.layout(1)
    state, optimizer = toy.fresh(where, optim.OptimConfig(name="muon"))
    run = step.Step(toy.loss_fn, optimizer, where, matmul_precision=asked)
    with jax.default_matmul_precision(outside):
        program = run.trace(state, where.put_batch(next(toy.data()))).lower()
    lines = [line for line in program.as_text().splitlines() if "dot_general" in line]
    assert len(lines) > 5
    rounds = {"lhs_precision_type = bf16" in line for line in lines}
    assert rounds == {(asked or outside) == "BF16_BF16_F32"}
