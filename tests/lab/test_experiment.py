"""Experiments: what becomes of a base, which jobs there are, what is refused."""

import importlib
import io
from pathlib import Path

import pytest
from ml_collections import ConfigDict
from PIL import Image

from bridge_jax.core import config as config_lib
from bridge_jax.core.errors import BridgeError
from bridge_jax.lab import experiment as experiment_lib
from bridge_jax.lab import patch, plots
from bridge_jax.plan import abstract
from bridge_jax.train import recipe

BASE = "configs/shapes_stage2.py:tiny"
CONFIGS = Path(__file__).parents[2] / "configs"
SHIPPED = [
    f"configs/{path.name}:{variant}"
    for path in sorted(CONFIGS.glob("ablate_*.py"))
    for variant in importlib.import_module(f"configs.{path.stem}").VARIANTS
]


def load(**fields):
    given = {"base": BASE, "figures": ("a",), **fields}
    return experiment_lib.load(ConfigDict(given))


def test_a_patch_changes_takes_out_and_adds():
    before = ConfigDict({"a": {"b": 1, "c": (1, 2)}, "d": "x"})
    made = patch.patched(before, {"a": {"b": 2.5, "c": None}, "e": {"f": 1}}, {"d": 3})
    assert made.to_dict() == {"a": {"b": 2.5}, "d": 3, "e": {"f": 1}}
    assert before.to_dict() == {"a": {"b": 1, "c": (1, 2)}, "d": "x"}
    with pytest.raises(BridgeError, match="takes out 'aa'.*did you mean 'a'"):
        patch.patched(before, {"aa": None})


def test_arms_and_crossed_axes_with_every_seed():
    found = load(
        arms={"mine": {"optim": {"learning_rate": 0.1}}},
        axes={
            "rate": {"low": {"total_steps": 1}, "high": {"total_steps": 2}},
            "start": {"cold": {}, "warm": {"aligner_init": "by_role"}},
        },
        every={"log_every": 7},
        seeds=(3, 5),
    )
    arms = ["baseline", "mine", "high+cold", "high+warm", "low+cold", "low+warm"]
    jobs = found.jobs()
    assert [job.name for job in jobs] == [
        f"{arm}/seed_{seed}" for seed in (3, 5) for arm in arms
    ]
    by_name = {job.name: job.config() for job in jobs}
    both = by_name["low+warm/seed_5"]
    assert (both.total_steps, both.aligner_init) == (1, "by_role")
    assert by_name["mine/seed_3"].optim.learning_rate == 0.1
    for job in jobs:
        config = by_name[job.name]
        assert config.log_every == 7
        seeds = {config.seed, *(stream.seed for stream in config.streams.values())}
        assert seeds == {job.seed}  # noise, masks and data alike


def test_arms_may_start_from_weights_of_their_own_seed():
    found = load(every={"init_from": {"vlm": "runs/a/seed_{seed}:vlm"}}, seeds=(0, 3))
    starts = [job.config().init_from.vlm for job in found.jobs()]
    assert starts == ["runs/a/seed_0:vlm", "runs/a/seed_3:vlm"]


def test_groups_order_the_arms():
    arms = {name: {} for name in ("a", "b", "c")}
    found = load(arms=arms, groups={"some": ("c", "baseline", "a")})
    assert list(found.changes()) == ["baseline", "c", "a", "b"]
    assert found.together() == {"some": ("c", "baseline", "a")}
    assert load(arms=arms).together() == {"all arms": ("baseline", "a", "b", "c")}


def test_all_mistakes_at_once():
    with pytest.raises(BridgeError) as told:
        load(
            arms={"baseline": {}, "a/b": {}, "same": {}},
            axes={"x": {"same": {}}},
            groups={"g": ("sane",)},
            seeds=(1, 1),
            measure={"options": {"question": 3}},
        )
    for words in (
        "'baseline' is always there",
        "'a/b': a name is",
        "two arms 'same'",
        "seed 1 is given twice",
        "did you mean 'same'",
        "did you mean 'questions'",
    ):
        assert words in str(told.value)
    with pytest.raises(BridgeError, match="unknown key experiment.arm .did you mean"):
        load(arm={})
    with pytest.raises(BridgeError, match="at least one"):
        load(seeds=())


@pytest.mark.parametrize("spec", SHIPPED)
def test_every_arm_that_ships_can_be_built(spec):
    """Its config is one that training takes, objectives, parts, patterns and all."""
    experiment = experiment_lib.load(config_lib.load(spec))
    for arms in experiment.groups.values():
        assert "baseline" in arms
    made = [
        recipe.make(job.config())
        for job in experiment.jobs()
        if job.seed == experiment.seeds[0]
    ]
    abstract.training(made[-1])  # its patterns match what there is


def test_schedules_are_drawn_where_they_differ():
    found = load(
        arms={
            "slow": {"replacement": {"start": (0.0, 0.5), "finish": 3}},
            "same": {"log_every": 9},
        }
    )
    jobs = {job.arm: job for job in found.jobs()}
    drawn = plots.schedules(jobs, ("baseline", "slow"))
    with Image.open(io.BytesIO(drawn)) as plot:
        assert len(set(plot.convert("L").tobytes())) > 20
    assert plots.schedules(jobs, ("baseline", "same")) is None
