import functools
import json
import os
import signal
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toy

from bridge_jax.checkpoint import manager
from bridge_jax.core import runtime
from bridge_jax.core.errors import BridgeError
from bridge_jax.train import hooks, loop, optim

DROPOUT = functools.partial(toy.loss_fn, dropout=True)
AVERAGED = optim.OptimConfig(learning_rate=1e-2, ema_decay=0.9, warmup_steps=2)


def read(path):
    return [json.loads(text) for text in path.read_text().splitlines()]


def same_bits(first, second):
    for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def test_resume_at_random_step_is_bit_identical(tmp_path):
    given = {"loss": DROPOUT, "config": AVERAGED}
    whole = toy.Losses()
    straight = loop.train(
        toy.run(tmp_path / "a", 9, hooks=[whole], checkpoint_every=2, **given)
    )
    stop = int(np.random.default_rng().integers(1, 8))
    first, second = toy.Losses(), toy.Losses()
    loop.train(toy.run(tmp_path / "b", stop, hooks=[first], **given))
    resumed = loop.train(
        toy.run(tmp_path / "b", 9, hooks=[second], resume=True, **given)
    )
    same_bits(straight, resumed)
    losses = {step: figures["loss"] for step, figures in whole.seen.items()}
    seen = first.seen | second.seen
    assert sorted(second.seen) == list(range(stop + 1, 10))
    assert losses == {step: figures["loss"] for step, figures in seen.items()}


def test_a_background_save_is_not_disturbed_by_later_steps(tmp_path):
    """Steps donate the arrays that a save in flight still reads."""
    kept = {}

    class Copy:
        every = 1

        def __call__(self, step, state, figures):
            kept[step] = jax.tree.map(np.array, state)

    run = toy.run(tmp_path, 6, hooks=[Copy()], checkpoint_every=1, keep=10)
    loop.train(run)
    checkpoints = manager.open_existing(tmp_path)
    for step in range(1, 7):
        same_bits(checkpoints.weights(step), kept[step].params)
    checkpoints.close()


def test_one_device_equals_eight(tmp_path):
    losses = {}
    layouts = {
        "one": toy.layout(1),
        "data": toy.layout(8, "dp"),
        "mixed": toy.layout(8, data=2, fsdp=2, tensor=2),
    }
    for name, where in layouts.items():
        seen = toy.Losses()
        loop.train(toy.run(tmp_path / name, 6, where, hooks=[seen]))
        losses[name] = [figures["loss"] for figures in seen.seen.values()]
    np.testing.assert_allclose(losses["data"], losses["one"], rtol=1e-5)
    np.testing.assert_allclose(losses["mixed"], losses["one"], rtol=1e-5)


def test_checkpoint_moves_to_another_mesh(tmp_path):
    before = loop.train(toy.run(tmp_path, 3))
    where = toy.layout(4, fsdp=2, tensor=2)
    after = loop.train(toy.run(tmp_path, 3, where, resume=True))
    same_bits(before, after)
    kernel = after.params["first"]["kernel"]
    assert kernel.addressable_shards[0].data.shape == (4, 8)


def test_overfits_a_batch(tmp_path):
    class Same:
        def __init__(self):
            self.batch = next(toy.data(8))

        def __next__(self):
            return self.batch

        def get_state(self):
            return {}

        def set_state(self, state):
            pass

    config = optim.OptimConfig(learning_rate=3e-2, schedule="constant")
    seen = toy.Losses()
    loop.train(toy.run(tmp_path, 150, config=config, data=Same(), hooks=[seen]))
    assert seen.seen[150]["fit"] < 0.01 * seen.seen[1]["fit"]


def test_waiting_for_data_is_told(tmp_path, capsys):
    class Slow:
        def __init__(self):
            self.data = toy.data(8)

        def __next__(self):
            time.sleep(0.05)
            return next(self.data)

        def get_state(self):
            return {}

        def set_state(self, state):
            pass

    loop.train(toy.run(tmp_path, 4, data=Slow()))
    records = read(tmp_path / "metrics.jsonl")
    assert all(r["data_seconds"] >= 0.05 for r in records) and len(records) == 2
    assert "data_seconds: " in capsys.readouterr().out


def test_reports_line_events_and_records(tmp_path, capsys):
    run = toy.run(tmp_path, 5)
    loop.train(run)
    out = capsys.readouterr().out
    assert "completed step: 4, seconds: " in out
    assert "TFLOP/s/device: " in out and "samples/s: " in out and ", fit: " in out
    records = read(tmp_path / "metrics.jsonl")
    assert [record["step"] for record in records] == [2, 4]
    assert records[0]["flops_per_second"] > 0 and "fit/largest" in records[0]
    assert json.loads((tmp_path / "config.json").read_text()) == {"seed": 3}
    assert list((tmp_path / "tensorboard").iterdir())
    assert run.step.traces == 1


def test_resuming_drops_the_records_it_writes_again(tmp_path):
    loop.train(toy.run(tmp_path, 4))
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write('{"step": 6, "loss": 1.0}\n{"step": 8, "lo')
    loop.train(toy.run(tmp_path, 8, resume=True))
    records = read(tmp_path / "metrics.jsonl")
    assert [record["step"] for record in records] == [2, 4, 6, 8]


def test_used_workdir_is_refused_and_untouched(tmp_path):
    loop.train(toy.run(tmp_path, 2))
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()}
    with pytest.raises(BridgeError, match="already holds a run.*--resume"):
        loop.train(toy.run(tmp_path, 4))
    assert before == {
        p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()
    }


def test_resume_needs_something_unless_auto(tmp_path):
    with pytest.raises(BridgeError, match="nothing to resume"):
        loop.train(toy.run(tmp_path / "none", 2, resume=True))
    assert not (tmp_path / "none").exists()
    assert loop.train(toy.run(tmp_path / "none", 2, resume="auto")).step == 2
    assert loop.train(toy.run(tmp_path / "none", 3, resume="auto")).step == 3


@pytest.mark.parametrize("resume", [True, "auto"])
def test_a_config_of_others_is_not_lost(tmp_path, resume):
    """Such as of a downloaded model, where one cut short by a crash is a run's own."""
    config = tmp_path / "config.json"
    config.write_text(before := '{"model_type": "qwen2_vl", "hidden_size": 8}')
    with pytest.raises(BridgeError, match=r"config\.json was written by no training"):
        loop.train(toy.run(tmp_path, 2, resume=resume))
    assert config.read_text() == before and os.listdir(tmp_path) == ["config.json"]
    config.write_text('{"seed": 3, "mod')
    assert loop.train(toy.run(tmp_path, 2, resume=resume)).step == 2


def test_another_model_is_refused_with_the_difference(tmp_path):
    loop.train(toy.run(tmp_path, 2))
    with pytest.raises(BridgeError, match="width is 16 there, 32 here"):
        loop.train(toy.run(tmp_path, 4, resume=True, model=toy.MODEL | {"width": 32}))
    frozen = optim.OptimConfig(trainable=(("first/.*", False), (".*", True)))
    with pytest.raises(BridgeError, match="another model or optimiser.*first"):
        loop.train(toy.run(tmp_path, 4, resume=True, config=frozen))


def test_sigterm_saves_and_asks_for_a_restart(tmp_path):
    class Terminate:
        every = 3

        def __call__(self, step, state, figures):
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(runtime.Interrupted) as stopped:
        loop.train(toy.run(tmp_path, 50, hooks=[Terminate()]))
    assert stopped.value.code == 42
    latest = manager.open_existing(tmp_path).latest()
    assert latest == stopped.value.step in (3, 4)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_data_that_ends_says_so(tmp_path):
    class Short:
        def __init__(self):
            self.rest = iter([next(toy.data())] * 2)

        def __next__(self):
            return next(self.rest)

    with pytest.raises(BridgeError, match="data ended at step 2"):
        loop.train(toy.run(tmp_path, 5, data=Short()))


class Failing:
    """Data whose row `at` cannot be read."""

    def __init__(self, at):
        self.rest, self.at = toy.data(), at

    def __next__(self):
        self.at -= 1
        if self.at < 0:
            raise BridgeError("no such row")
        return next(self.rest)

    def __getattr__(self, name):
        return getattr(self.rest, name)


def test_a_run_that_fails_at_once_is_not_in_the_way_of_the_next(tmp_path):
    """The mended command is the same but for its mistake; no --resume."""
    (tmp_path / "notes.txt").write_text("mine")
    for workdir in (tmp_path, tmp_path / "new"):
        with pytest.raises(BridgeError, match="no such row"):
            loop.train(toy.run(workdir, 2, data=Failing(0)))
    assert [path.name for path in tmp_path.rglob("*")] == ["notes.txt"]
    assert loop.train(toy.run(tmp_path, 2)).step == 2


def test_what_a_failed_run_has_seen_stays(tmp_path):
    with pytest.raises(BridgeError, match="no such row"):
        loop.train(toy.run(tmp_path, 8, data=Failing(3)))
    assert [record["step"] for record in read(tmp_path / "metrics.jsonl")] == [2]
    with pytest.raises(BridgeError, match=r"already holds a run.*metrics\.jsonl"):
        loop.train(toy.run(tmp_path, 8))


def test_what_a_failed_run_has_shown_stays(tmp_path):
    class Showing:
        every = 1

        def __call__(self, step, state, figures):
            return {"shown": 1.0}

    failing = {"data": Failing(2), "log_every": 50, "hooks": (Showing(),)}
    with pytest.raises(BridgeError, match="no such row"):
        loop.train(toy.run(tmp_path, 8, **failing))
    assert list((tmp_path / "tensorboard").iterdir())
    with pytest.raises(BridgeError, match="already holds a run"):
        loop.train(toy.run(tmp_path, 8))


def test_a_resumed_run_that_fails_at_once_takes_nothing_away(tmp_path):
    loop.train(toy.run(tmp_path, 2))
    before = {path for path in tmp_path.rglob("*") if "tensorboard" not in path.parts}
    with pytest.raises(BridgeError, match="no such row"):
        loop.train(toy.run(tmp_path, 4, resume=True, data=Failing(0)))
    assert before <= set(tmp_path.rglob("*"))


def test_a_config_that_was_there_is_not_taken_away(tmp_path):
    (tmp_path / "config.json").write_text('{"seed": 3}')
    with pytest.raises(BridgeError, match="no such row"):
        loop.train(toy.run(tmp_path, 4, resume="auto", data=Failing(0)))
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


def test_endless_nan_ends_the_run(tmp_path):
    def broken(params, batch, rngs, at):
        terms = toy.loss_fn(params, batch, rngs, at)
        fit = terms["fit"][1]
        return {"fit": (1.0, fit.replace(value_sum=fit.value_sum * float("nan")))}

    with pytest.raises(BridgeError, match="not usable in . steps in a row"):
        loop.train(toy.run(tmp_path, 50, loss=broken, patience=5))


def test_a_run_of_nan_goes_back_and_on_with_other_data(tmp_path, capsys):
    """Steps 5 to 8 are broken: 8 is as 4 was, and the rest is trained."""

    def broken(params, batch, rngs, at):
        bad = (at >= 4) & (at < 8)
        terms = toy.loss_fn(params, batch, rngs, at)
        fit = terms["fit"][1]
        value = jnp.where(bad, jnp.nan, fit.value_sum)
        return terms | {"fit": (1.0, fit.replace(value_sum=value))}

    class Kept:
        every = 1

        def __init__(self):
            self.states = {}

        def __call__(self, step, state, figures):
            self.states[step] = jax.tree.map(np.array, (state.params, state.opt_state))

    kept = Kept()
    given = {"checkpoint_every": 4, "patience": 4, "rollbacks": 1, "hooks": (kept,)}
    last = loop.train(toy.run(tmp_path, 10, loss=broken, **given))
    assert "back to step 4, 0 rollback(s) left" in "".join(capsys.readouterr())
    assert (int(last.step), int(last.skipped)) == (10, 4)
    same = jax.tree.map(np.array_equal, kept.states[8], kept.states[4])
    assert all(jax.tree.leaves(same))
    moved = jax.tree.map(np.array_equal, kept.states[9], kept.states[8])
    assert not all(jax.tree.leaves(moved))
    again = loop.train(toy.run(tmp_path, 12, loss=broken, resume=True, **given))
    assert int(again.step) == 12 and int(again.skipped) == 4


def test_pictures_use_the_average(tmp_path):
    seen = {}

    def draw(params, step):
        seen[step] = jax.tree.map(np.array, params)
        return {"grid": np.full((4, 6, 3), 200)}

    hook = hooks.Pictures(2, draw, tmp_path / "pictures")
    state = loop.train(toy.run(tmp_path / "run", 4, hooks=[hook], config=AVERAGED))
    assert (tmp_path / "pictures" / "grid_0000004.png").is_file()
    same_bits(seen[4], state.averaged())
    assert not np.array_equal(
        seen[4]["first"]["kernel"], state.params["first"]["kernel"]
    )
