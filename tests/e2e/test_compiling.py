"""A run compiles what it needs in its first two steps, and nothing after them.

It reports and saves after every step: what that compiles belongs to the first.
"""

import importlib

import compilations
import jax
import miniature
import pytest

from bridge_jax.train import recipe as recipe_lib

STEPS = 4


class AfterEach:
    """A hook: how many programs are compiled by the end of each step."""

    every = 1

    def __init__(self, seen):
        self.seen, self.count = seen, {}

    def __call__(self, step, state, figures):
        self.count[step] = len(self.seen)


def small(home):
    """Stage 1's captions alone, started."""
    made = miniature.config("configs/shapes_stage1.py:tiny")
    with made.unlocked():
        made.streams = dict(main=dict(source="shapes_caption", batch=16))
        made.objectives = dict(sft=dict(weight=1.0))
    return miniature.started(made, home / "start")


@pytest.fixture
def steps(monkeypatch):
    """The Step of each run that a test makes."""
    made = []

    class Remembered(recipe_lib.step_lib.Step):
        def __init__(self, *given, **named):
            super().__init__(*given, **named)
            made.append(self)

    monkeypatch.setattr(recipe_lib.step_lib, "Step", Remembered)
    return made


def run(config, workdir):
    """Train for STEPS: step -> programs compiled by its end."""
    with config.unlocked():
        config.total_steps = STEPS
        config.log_every = 1
        config.checkpoint_every = 1
    entry = importlib.import_module(f"bridge_jax.train.{config.entry}")
    with compilations.heard() as seen:
        hook = AfterEach(seen)
        entry.run(config, workdir, hooks=(hook,))
    return hook.count


def test_nothing_is_compiled_after_the_second_step(tmp_path, steps):
    count = run(small(tmp_path), tmp_path / "work")
    assert [step.traces for step in steps] == [1]
    assert count[1] > 0  # else nobody listens
    assert set(count) == set(range(1, STEPS + 1))
    assert count[STEPS] == count[2]


def test_a_batch_of_another_shape_is_noticed(tmp_path, steps, monkeypatch):
    """What the test above would say of a stream whose last batches are smaller."""
    whole = recipe_lib.Recipe.batches

    class Shrinking:
        def __init__(self, batches):
            self.batches, self.given = batches, 0

        def __next__(self):
            self.given += 1
            rows = None if self.given < STEPS else jax.device_count()
            return jax.tree.map(lambda leaf: leaf[:rows], next(self.batches))

        def __getattr__(self, name):
            return getattr(self.batches, name)

    monkeypatch.setattr(
        recipe_lib.Recipe, "batches", lambda self: Shrinking(whole(self))
    )
    count = run(small(tmp_path), tmp_path / "work")
    assert [step.traces for step in steps] == [2]
    assert count[STEPS] > count[3] == count[2]
