"""The one loop. Stages are data given to it.

Bit-exact resume rests on three things: random keys are a function of (seed, name,
step), the data iterator's position is saved with the weights, and nothing else is
carried from step to step.
"""

import contextlib
import dataclasses
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import jax

from bridge_jax.checkpoint import manager
from bridge_jax.checkpoint.folders import FOLDER
from bridge_jax.core import config as config_lib
from bridge_jax.core import log, memory, runtime, watchdog
from bridge_jax.core.errors import BridgeError
from bridge_jax.train import barrier, cleanup, goodput
from bridge_jax.train import hooks as hooks_lib
from bridge_jax.train import meter as meter_lib
from bridge_jax.train import state as state_lib
from bridge_jax.train.state import TrainState
from bridge_jax.train.step import Step

# Simulated devices deadlock when more steps than this are in flight.
_IN_FLIGHT = 4
# Steps after which a run is one whose memory is worth a second.
_LONG = 10


@dataclasses.dataclass(frozen=True)
class Run:
    """One training run.

    Attributes:
      workdir: where checkpoints, metrics.jsonl, tensorboard and config.json go.
      total_steps: batches to consume, counted from the very first start.
      step: the compiled step.
      state: fresh state (taken over); a resumed run replaces its values.
      data: yields this process's share of a batch as numpy, with an exact
        get_state and set_state.
      model: config of the model; a checkpoint of another one is refused.
      config: the whole resolved config, saved with every checkpoint.
      hooks: called in order after the step, before the checkpoint.
      resume: True goes on in `workdir`; "auto" starts there if nothing was started;
        False refuses a used workdir.
      keep, keep_every: see Checkpoints.
      patience: after so many skipped steps in a row (not finite, or spikes) the run
        goes back to its last checkpoint and on with other data,
      rollbacks: so many times; then it ends.
      began: the `time.perf_counter()` at which the program set out to make this run,
        for the record of its time; None for now.
      hang_seconds: without a step for so long the process exits; see `Watchdog`.
    """

    workdir: Path
    total_steps: int
    step: Step
    state: TrainState
    data: Any
    model: Any
    config: Any
    hooks: Sequence[hooks_lib.Hook] = ()
    log_every: int = 50
    checkpoint_every: int = 1000
    resume: bool | Literal["auto"] = False
    keep: int = 3
    keep_every: int = 0
    patience: int = 20
    rollbacks: int = 0
    began: float | None = None
    hang_seconds: float = 0.0


def train(run: Run) -> TrainState:
    """Run to `total_steps` and return the last state, which is also checkpointed.

    Raises:
      BridgeError: a used workdir without resume, nothing to resume, a checkpoint of
        another model, data that ends early, or `patience` skipped steps in a row
        when no rollback is left.
      runtime.Interrupted: SIGTERM came, or SIGHUP; the state is saved.
    """
    claim(run.workdir, run.resume)
    ledger = goodput.Ledger(run.workdir, run.began)
    about = manager.About(config_lib.plain(run.model), config_lib.plain(run.config))
    with contextlib.ExitStack() as stack:
        if jax.process_index() == 0:
            stack.enter_context(cleanup.on_failure(run.workdir))
        checkpoints = manager.Checkpoints(run.workdir, run.keep, run.keep_every)
        stack.callback(checkpoints.close)
        stack.enter_context(runtime.lost_processes())
        state = _restored(run, checkpoints, about) if run.resume else run.state
        start = int(state.step)
        if run.resume:
            ledger.resume(start)
        writer = log.Writer(run.workdir, run.total_steps, start)
        stack.callback(writer.close)
        if jax.process_index() == 0:
            (run.workdir / "config.json").write_text(config_lib.to_json(run.config))
        save = hooks_lib.Save(
            run.checkpoint_every, checkpoints, run.data, about, ledger
        )
        report = hooks_lib.Report(run.log_every, writer, ledger)
        asked = stack.enter_context(runtime.interruption())
        dog = stack.enter_context(watchdog.Watchdog(run.hang_seconds))
        back = _Rollback(run, checkpoints, about)
        hooks = [report, *run.hooks, save]
        state = _steps(run, state, hooks, writer, asked, back, dog, ledger)
        ledger.charge("other")
        step = int(state.step)
        save(step, state, {})
        with ledger.spending("checkpoint"):
            checkpoints.wait()
        ledger.write()
        ledger.say()
    if step < run.total_steps:
        log.say(f"interrupted: step {step} is saved in {run.workdir}")
        raise runtime.Interrupted(step)
    return state


def claim(workdir: Path, resume: bool | str) -> None:
    """Check that a run may write to `workdir`; entry points call it first of all.

    Returns once every process has checked: none writes there before.

    Raises:
      BridgeError: it holds a run and `resume` is False, or it does not exist and
        `resume` is True, or its config.json is no run's; with several processes, for
        all of them alike.
    """
    problem = _unfit(workdir, resume)
    if runtime.any_process(bool(problem)):
        raise BridgeError(problem or f"another process cannot use its {workdir}")


def _unfit(workdir: Path, resume: bool | str) -> str:
    used = [name for name in (FOLDER, "metrics.jsonl", "config.json")]
    there = [name for name in used if (workdir / name).exists()]
    if workdir.exists() and not workdir.is_dir():
        return f"{workdir} is a file; give a directory"
    if not resume and there:
        return (
            f"{workdir} already holds a run ({', '.join(there)}); pass --resume to go"
            " on with it, or another --workdir"
        )
    if resume is True and not there:
        return (
            f"nothing to resume in {workdir}; leave --resume out to start a run there"
        )
    if there and not _is_a_runs(workdir / "config.json"):
        return (
            f"{workdir}/config.json was written by no training, and would be lost; give"
            " another --workdir"
        )
    return ""


def _is_a_runs(file: Path) -> bool:
    """Whether a config.json may be replaced: none, a run's, or one cut short."""
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return True
    return isinstance(config, dict) and "seed" in config


def _restored(
    run: Run, checkpoints: manager.Checkpoints, about: manager.About
) -> TrainState:
    """The latest checkpoint's state, or the fresh one if none was written yet."""
    if checkpoints.latest() is None:
        return run.state
    like = state_lib.abstract(run.state)
    # The fresh values are no longer needed, and both together may not fit.
    jax.tree.map(lambda leaf: leaf.delete(), run.state)
    step, params, ema, rest = checkpoints.restore(
        like.params, like.ema, like.rest(), run.data, about
    )
    log.say(f"resumed from step {step} of {checkpoints.directory}")
    return TrainState(params=params, ema=ema, **rest)


def _steps(
    run: Run,
    state: TrainState,
    hooks: Sequence[hooks_lib.Hook],
    writer: log.Writer,
    asked: Any,
    back: "_Rollback",
    dog: watchdog.Watchdog,
    ledger: goodput.Ledger,
) -> TrainState:
    meter = meter_lib.Meter(run.step, hooks)
    start = int(state.step)
    for step in range(start + 1, run.total_steps + 1):
        asked_for = time.perf_counter()
        with ledger.spending("data"):
            batch = run.step.layout.put_batch(_next(run.data, step))
        waited = time.perf_counter() - asked_for
        if step == start + 1:
            began = time.perf_counter()
            run.step.compile(state, batch)
            log.say(f"compiled in {time.perf_counter() - began:.1f} s")
            barrier.meet(f"step {step} is compiled")
            meter.restart()
            dog.beat()
            ledger.charge("step")
        state, figures = run.step(state, batch)
        meter.keep(figures, meter_lib.samples(batch), waited)
        due = [hook for hook in hooks if hook.every and step % hook.every == 0]
        stop = asked(step)
        if step == start + _LONG:
            memory.release()
        if due or stop or step % _IN_FLIGHT == 0 or step == run.total_steps:
            meter.block(step)
            dog.beat()
            if meter.bad >= run.patience:
                state, meter.bad = back(state, step, meter.bad), 0
            writer.advance(step)
        with ledger.spending("other"):
            for hook in due:
                writer.show(step, hook(step, state, meter.window(hook)) or {})
        if due:
            meter.restart()  # time spent in hooks is not time spent in steps
        if stop:
            break
    return state


class _Rollback:
    """Back to the last checkpoint, with the data going on: what it lost is skipped."""

    def __init__(
        self, run: Run, checkpoints: manager.Checkpoints, about: manager.About
    ):
        self._run, self._checkpoints, self._about = run, checkpoints, about
        self._left = run.rollbacks

    def __call__(self, state: TrainState, step: int, bad: int) -> TrainState:
        """The state at `step` as if all since the checkpoint had been skipped.

        Raises:
          BridgeError: no rollback is left, or no checkpoint is there.
        """
        self._checkpoints.wait()
        told = f"loss or gradient was not usable in {bad} steps in a row, up to {step}"
        if not self._left or self._checkpoints.latest() is None:
            raise BridgeError(
                f"{told}; nothing was changed by them: lower the learning rate, or look"
                " at the data, and --resume"
            )
        self._left -= 1
        like = state_lib.abstract(state)
        at = state.step
        jax.tree.map(lambda leaf: leaf.delete(), state.replace(step=None))
        found, params, ema, rest = self._checkpoints.restore(
            like.params, like.ema, like.rest(), None, self._about
        )
        log.say(f"{told}: back to step {found}, {self._left} rollback(s) left")
        skipped = rest["skipped"] + (at - rest["step"])
        rest["skipped"] = jax.device_put(skipped, rest["skipped"].sharding)
        return TrainState(params=params, ema=ema, **rest | {"step": at})


def _next(data: Iterator, step: int) -> Any:
    try:
        return next(data)
    except StopIteration:
        raise BridgeError(
            f"the data ended at step {step - 1}; let it repeat, or set total_steps to"
            " that"
        ) from None
