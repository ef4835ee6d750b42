"""Every recipe trains through its entry point, on the smallest parts there are."""

import importlib
import json
import shutil
from pathlib import Path

import jax
import miniature
import numpy as np
import pytest

from bridge_jax.checkpoint import weights_file
from bridge_jax.core import config as config_lib
from bridge_jax.core import trees
from bridge_jax.core.errors import BridgeError
from bridge_jax.data import processor
from bridge_jax.models import build
from bridge_jax.sharding import place
from bridge_jax.train import optim, stage1, stage2, start, state
from bridge_jax.train import recipe as recipe_lib
from bridge_jax.train import step as step_lib

CONFIGS = Path(__file__).parents[2] / "configs"


def tiny_specs():
    """The variants that end in "tiny", but for those of another's modules.

    What differs among those is numbers, and which stream an objective reads, which
    tests/house loads and traces, and what trains.
    """
    programs = set()
    for spec in sorted(_tiny_specs(), key=len):
        config = config_lib.plain(config_lib.load(spec))
        sources = {one["source"] for one in config["streams"].values()}
        named = {one.get("name", k) for k, one in config["objectives"].items()}
        program = config["model"], config.get("lora"), sorted(sources), sorted(named)
        if (told := json.dumps(program, sort_keys=True)) not in programs:
            programs.add(told)
            yield spec


def _tiny_specs():
    for path in sorted(CONFIGS.glob("*.py")):
        module = importlib.import_module(f"configs.{path.stem}")
        if not hasattr(module, "VARIANTS") or path.stem.startswith("ablate_"):
            continue  # no run's config
        variants = module.VARIANTS
        several = any(variant.endswith("-tiny") for variant in variants)
        for variant in variants:
            # A file of several recipes also has "tiny", which is one of the others.
            if variant.endswith("tiny") and (variant != "tiny" or not several):
                yield f"configs/{path.name}:{variant}"


def started(spec, folder):
    """A recipe's config on the smallest parts, whose parameters are in `folder`."""
    config = miniature.started(miniature.config(spec), folder)
    if spec == STAGE1:
        config.optim.learning_rate = 3e-3  # a second loss tells of the first update
    if spec == STAGE2:
        config.model.aligner.dropout = 0.1
    return config


class Trained:
    """A finished run with its initial parameters."""

    def __init__(self, spec, workdir):
        self.spec = spec
        self.config = started(spec, workdir.with_name("start"))
        if spec in MESHES:
            self.config.log_every = 1
        if spec == STAGE2:  # on a mesh with all its axes
            mesh = MESHES[STAGE2]
            self.config.update(mesh=mesh, rules="fsdp_tp_sp", checkpoint_every=HALFWAY)
        self.workdir = workdir
        recipe = recipe_lib.make(self.config)
        self.before = jax.tree.map(np.array, recipe.fresh_params())
        self.state = self.run(workdir)
        self.after = jax.tree.map(np.array, self.state.params)

    def run(self, workdir, **given):
        entry = importlib.import_module(f"bridge_jax.train.{self.config.entry}")
        return entry.run(self.config, workdir, **given)


_MADE = {}


@pytest.fixture
def trained(request, tmp_path_factory):
    """Trained once however many tests look at it."""
    spec = request.param
    if spec not in _MADE:
        _MADE[spec] = Trained(spec, tmp_path_factory.mktemp("run") / "work")
    return _MADE[spec]


STAGE1 = "configs/stage1_omnibridge_7b.py:tiny"
STAGE2 = "configs/shapes_stage2.py:tiny"
HALFWAY = 2
# Meshes of the runs that one device is compared with.
MESHES = {
    STAGE1: {"data": 8, "fsdp": 1, "sequence": 1, "tensor": 1},
    STAGE2: {"data": 2, "fsdp": 1, "sequence": 2, "tensor": 2},
}
every_recipe = pytest.mark.parametrize("trained", list(tiny_specs()), indirect=True)


@every_recipe
def test_it_trains_and_leaves_a_model(trained):
    steps = trained.config.total_steps
    assert int(trained.state.step) == steps and int(trained.state.skipped) == 0
    lines = (trained.workdir / "metrics.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert records[-1]["step"] == steps
    assert all(np.isfinite(value) for record in records for value in record.values())
    assert set(trained.config.objectives) <= set(records[-1])
    about = weights_file.read_config(trained.workdir / "weights")
    recipe = recipe_lib.make(trained.config)
    bundle = build.build(about["model"])
    assert bundle.description() == recipe.bundle.description()
    config_lib.to_dataclass(processor.Config, about["processor"])
    # Adapters are merged into what is saved.
    whole = plain(start.merged(trained.state.averaged(), recipe.config.lora))
    saved = weights_file.load(trained.workdir / "weights", whole)
    jax.tree.map(np.testing.assert_array_equal, saved, whole)


@pytest.mark.parametrize("spec", sorted(set(_tiny_specs()) - set(tiny_specs())))
def test_what_trains_is_there_where_nobody_runs_it(spec):
    """A pattern that matches no parameter, or all frozen, is refused."""
    config = miniature.config(spec)
    recipe = recipe_lib.make(config)
    shapes = place.unbox(recipe.bundle.abstract())
    rule = optim.make(recipe.config.optim, shapes, recipe.config.total_steps)
    assert any(jax.tree.leaves(rule.trainable))


@every_recipe
def test_only_what_trains_has_changed(trained):
    patterns = trained.config.optim.get("trainable", ((".*", True),))
    mask = trees.flatten(trees.match(patterns, trained.before))
    before, after = trees.flatten(trained.before), trees.flatten(trained.after)
    equal = {path: np.array_equal(before[path], after[path]) for path in before}
    assert not [p for p in before if not mask[p] and not equal[p]], "not frozen"
    still = [p for p in before if mask[p] and equal[p]]
    assert not still, "did not train"


def plain(tree):
    return jax.tree.map(np.asarray, tree)


def test_the_stages_freeze_what_they_should():
    one = miniature.config("configs/shapes_stage1.py").optim.trainable
    two = miniature.config("configs/shapes_stage2.py").optim.trainable
    three = miniature.config("configs/shapes_stage2.py:adaption").optim.trainable
    shapes = miniature.bundle().abstract()
    params = {name: {"kernel": 0} for name in shapes}
    params["vlm"] = {"vision": {"a": 0}, "llm": {"a": 0}}
    params["aligner"]["query_tokens"] = 0

    def trains(patterns, names):
        mask = trees.flatten(trees.match(patterns, {n: params[n] for n in names}))
        return sorted(path for path, value in mask.items() if value)

    assert trains(one, ["vlm"]) == ["vlm/llm/a"]
    parts = ["aligner/kernel", "aligner/query_tokens"]
    assert trains(two, params) == [*parts, "projector/kernel", "retrieval/kernel"]
    assert trains(three, params) == ["aligner/query_tokens", "projector/kernel"]


@pytest.mark.parametrize("trained", [STAGE2], indirect=True)
def test_stage_2_resumes_halfway_bit_for_bit(trained, tmp_path):
    """Random masks, dropout and noise, the average and the data all go on.

    A run that is stopped by a signal, or at any other place: tests/faults.
    """
    workdir = tmp_path / "work"
    shutil.copytree(trained.workdir, workdir)
    shutil.rmtree(workdir / "weights")
    log = workdir / "metrics.jsonl"
    whole = log.read_text().splitlines()
    log.unlink()
    last = trained.config.total_steps
    for lost in (workdir / "checkpoints").glob(f"{last}*"):
        shutil.rmtree(lost)
    steps = sorted(path.name for path in (workdir / "checkpoints").glob("[0-9]*"))
    assert steps == [str(HALFWAY)] and HALFWAY < last
    resumed = trained.run(workdir, resume=True)
    # From the start again it would end alike: only the rest was done.
    rest = log.read_text().splitlines()
    done, rest = ([json.loads(line) for line in lines] for lines in (whole, rest))
    assert [one["step"] for one in rest] == list(range(HALFWAY + 1, last + 1))
    assert [one["loss"] for one in rest] == [one["loss"] for one in done[HALFWAY:]]
    for name in ("params", "ema", "opt_state", "step"):
        one, two = getattr(resumed, name), getattr(trained.state, name)
        jax.tree.map(np.testing.assert_array_equal, plain(one), plain(two))


def stepper(spec, start, devices, **optimizer):
    """(step, state, batches) of a recipe on so many devices.

    It starts from parameters that are written to `start`.
    """
    config = started(spec, start)
    config.optim.update(optimizer)
    recipe = recipe_lib.make(config, jax.devices()[:devices])
    params = recipe.fresh_params()
    rule = optim.make(recipe.config.optim, params, recipe.config.total_steps)
    made = state.create(params, rule, recipe.config.seed, recipe.layout)
    step = step_lib.Step(recipe.loss, rule, recipe.layout)
    return step, made, recipe.batches()


def losses(step, now, batches, count):
    """Every term's mean at each step."""
    seen = []
    for _ in range(count):
        now, figures = step(now, step.layout.put_batch(next(batches)))
        seen.append({k: float(a) / max(float(b), 1.0) for k, (a, b) in figures.items()})
    return seen


@pytest.mark.parametrize("trained", MESHES, indirect=True)
def test_one_device_computes_what_the_run_on_eight_did(trained, tmp_path):
    """Stage 1 with data cut over devices, stage 2 with a sequence and matrices, too.

    Sharded parameters of stage 2: tests/faults, over processes.
    """
    lines = (trained.workdir / "metrics.jsonl").read_text().splitlines()
    eight = [json.loads(line) for line in lines[:2]]
    assert [record["step"] for record in eight] == [1, 2]
    meshes = [leaf.sharding.mesh for leaf in jax.tree.leaves(trained.state.params)]
    assert {dict(mesh.shape) == MESHES[trained.spec] for mesh in meshes} == {True}
    one = losses(*stepper(trained.spec, tmp_path / "start", 1), 2)
    for name in ("loss", *trained.config.objectives, "gradient_norm"):
        first, second = ([step[name] for step in run] for run in (one, eight))
        np.testing.assert_allclose(second, first, rtol=1e-5, err_msg=name)
        assert first[0] > 0


def test_a_batch_can_be_learnt_by_heart(tmp_path):
    step, now, batches = stepper(
        "configs/shapes_stage1.py:tiny",
        tmp_path / "start",
        1,
        learning_rate=2e-2,
        schedule="constant",
    )
    batch = step.layout.put_batch(next(batches))
    first = None
    for _ in range(60):
        now, figures = step(now, batch)
        loss = float(figures["sft"][0]) / float(figures["sft"][1])
        first = first or loss
    assert first > 5.0 and loss < 0.5


def test_missing_parts_and_streams_are_explained(tmp_path):
    config = miniature.config("configs/shapes_stage2.py:tiny")
    whole = config.model["projector"]
    del config.model["projector"]
    with pytest.raises(BridgeError, match=r"needs model parts \['projector'\]"):
        stage2.run(config, tmp_path / "a")
    config.model["projector"] = whole
    del config.model["vlm"]
    with pytest.raises(BridgeError, match="stage 1 trains model.vlm"):
        stage1.run(config, tmp_path / "b")
    config.objectives.semantic.stream = "generation"
    with pytest.raises(BridgeError, match="semantic reads stream 'generation'; the"):
        stage2.run(config, tmp_path / "c")
    assert not list(tmp_path.iterdir())
