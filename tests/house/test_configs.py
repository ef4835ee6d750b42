"""Every config loads in every variant, and its whole loss traces.

That `:tiny` trains is for tests/e2e to show.
"""

import functools
import importlib
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bridge_jax.cli import resolve
from bridge_jax.core import config as config_lib
from bridge_jax.core import rng, trees
from bridge_jax.core.errors import BridgeError
from bridge_jax.models import build
from bridge_jax.sharding import place
from bridge_jax.train import recipe as recipe_lib
from configs import common

EXPERIMENTS = "ablate_"  # no run's config: tests/lab builds every arm
CONFIGS = Path(__file__).parents[2] / "configs"
VARIANTS = [
    (path.name, variant)
    for path in sorted(CONFIGS.glob("*.py"))
    if path.stem != "common" and not path.stem.startswith(EXPERIMENTS)
    for variant in importlib.import_module(f"configs.{path.stem}").VARIANTS
]
TINY = [case for case in VARIANTS if case[1].endswith("tiny")]
FULL = [case for case in VARIANTS if case not in TINY]
FEW = {"vlm": {"layers": 2}, "dit": {"depth": 2}, "mt5": {"layers": 2}}
MOST_KEYS = 60  # visible in one config file's result
BILLION = 1e9


def spec(name: str, variant: str) -> str:
    return str(CONFIGS / name) + (f":{variant}" if variant else "")


def test_every_file_has_a_tiny_variant():
    files = {name for name, _ in VARIANTS}
    there = {p.name for p in CONFIGS.glob("*.py")} - {"common.py"}
    assert files == {name for name in there if not name.startswith(EXPERIMENTS)}
    assert {name for name, _ in TINY} == files


@pytest.fixture
def where_files_are(tmp_path, monkeypatch):
    """A working directory with the files that recipes read."""
    monkeypatch.chdir(tmp_path)
    ids = list(range(19200))
    words = {"words": [f" {i}" for i in ids], "counts": ids}
    told = words | {"ids": dict.fromkeys(("qwen2", "llama3"), ids)}
    Path("words.json").write_text(json.dumps(told))
    turns = [{"from": "human", "value": "why?"}, {"from": "gpt", "value": "so"}]
    records = [{"conversations": turns}]
    Path("llava_v1_5_mix665k.json").write_text(json.dumps(records))
    rows = np.random.default_rng(0).normal(size=(2, 16, 1024))
    np.savez("pairs.npz", text=rows[0], image=rows[1])


@pytest.mark.usefixtures("where_files_are")
@pytest.mark.parametrize(("name", "variant"), FULL)
def test_traces(name, variant):
    """Loss and gradient, in shapes alone: one small real batch, no arithmetic.

    The gradient is of what trains, as in a step. A variant changes sizes, weights or
    data, for which the loss alone is enough, with a few layers, which are alike, and no
    trace where another has it of the same model, objectives (whatever their weights),
    kind of schedule and batch.
    """
    config = resolve.resolve(spec(name, variant), ())
    if variant.startswith(("2b", "72b")):
        for part in config.model.keys() & FEW.keys():
            with config.unlocked():
                config.model[part].update(FEW[part])
    for stream in config.streams.values():
        stream.batch = 2
    config.reader_processes = config.reader_threads = 0  # nobody makes a second batch
    recipe = recipe_lib.make(config)
    batch = next(recipe.batches())
    shapes = jax.tree.map(lambda leaf: (leaf.shape, str(leaf.dtype)), batch)
    schedule = sorted(config.get("replacement", ()))
    same = config.model, config.get("lora"), dict(weightless(config)), schedule
    told = json.dumps([config_lib.plain(part) for part in same])
    key, whole = (told, str(shapes)), not variant
    if not {(key, True), (key, whole)} & _TRACED:
        assert traces(recipe, batch, whole)
        _TRACED.add((key, whole))


def weightless(config):
    for name, objective in config_lib.plain(config.objectives).items():
        yield name, {k: v for k, v in objective.items() if k != "weight"}


_TRACED = set()


def traces(recipe, batch, whole):
    params = place.unbox(recipe.bundle.abstract())

    def loss(trainable, frozen):
        streams = rng.Streams(jnp.uint32(0), jnp.int32(0))
        params = trees.combine(trainable, frozen)
        terms = recipe.loss(params, batch, streams, jnp.int32(0))
        return sum(weight * term.mean() for weight, term in terms.values())

    if not whole:
        return jax.eval_shape(loss, params, {}).shape == ()
    trains = trees.match(recipe.config.optim.trainable, params)
    trainable, frozen = trees.partition(params, trains)
    assert jax.tree.leaves(trainable)
    gradient = jax.eval_shape(jax.grad(loss), trainable, frozen)
    return jax.tree.map(jnp.shape, gradient) == jax.tree.map(jnp.shape, trainable)


@pytest.mark.parametrize(("name", "variant"), VARIANTS)
def test_few_keys(name, variant):
    config = config_lib.load(spec(name, variant))
    own = {key: config[key] for key in config if key not in ("model", "streams")}
    assert len(trees.flatten(config_lib.plain(own))) <= MOST_KEYS


@pytest.mark.parametrize(("name", "variant"), VARIANTS)
def test_an_unknown_key_is_an_error(name, variant):
    with pytest.raises(BridgeError, match="learning_rate"):
        resolve.resolve(spec(name, variant), ["--config.optim.learning_rat=1"])


@functools.cache
def published() -> dict[str, float]:
    """Part -> parameters of the published model, in billions; nothing is allocated."""
    # The 7B config's own, which is traced already.
    bundle = build.build(common.published("7b", *common.PUBLISHED))
    shapes = place.unbox(bundle.abstract())
    return {
        name: sum(leaf.size for leaf in jax.tree.leaves(part)) / BILLION
        for name, part in shapes.items()
    }


@pytest.mark.parametrize(
    ("part", "billions"),
    [("vlm", 8.29), ("mt5", 1.67), ("dit", 1.5), ("vae", 0.084)],
)
def test_the_published_sizes(part, billions):
    """Of Qwen2-VL-7B, mT5-XL's encoder, DiT-g/2 and SDXL's autoencoder."""
    assert published()[part] == pytest.approx(billions, rel=0.05)
