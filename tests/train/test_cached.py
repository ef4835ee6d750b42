"""Stage 2 from a cache: the same losses, and no cache of other weights."""

import dataclasses
import json

import jax
import miniature
import ml_dtypes
import numpy as np
import pytest

from bridge_jax.checkpoint import weights_file
from bridge_jax.core import config as config_lib
from bridge_jax.core import rng, term, trees, weights_hash
from bridge_jax.core.errors import BridgeError
from bridge_jax.data.cache import origin, reading, store, wishes
from bridge_jax.inference import precompute, settings
from bridge_jax.inference.drawing import captions
from bridge_jax.inference.engine import Engine
from bridge_jax.inference.model import Model
from bridge_jax.train import cached, optim, stage2
from bridge_jax.train import recipe as recipe_lib

SPEC = "configs/shapes_stage2.py:tiny"
STEPS, BATCH = 2, 4
KINDS = origin.KINDS


def typed(config):
    return config_lib.to_dataclass(recipe_lib.Config, config)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("cached")


@pytest.fixture(scope="module")
def plain(home):
    """A config without a cache, that starts from weights in a file."""
    config = miniature.config(SPEC)
    with config.unlocked():
        for stream in config.streams.values():
            stream.batch = BATCH
        config.streams.generate.batch = 2 * BATCH  # a row a device, in stage2.run
        config.cache = {}
    return miniature.started(config, home / "start")


@pytest.fixture(scope="module")
def model(plain):
    bundle, layout, params = cached.frozen(typed(plain), KINDS, jax.devices()[:1])
    limits = settings.Limits(rows=BATCH, max_context=precompute.CONTEXT)
    return Model(Engine(bundle, miniature.PROCESSOR, layout, limits), params)


@pytest.fixture(scope="module")
def folder(home, plain, model):
    """A cache of just the rows that two steps read."""
    given = {name: dict(one) for name, one in plain.streams.items()}
    rows = {name: one["batch"] * STEPS for name, one in given.items()}
    decoding = captions.decoding(model.processor)
    about = (model.processor.config, decoding, {})
    parts = cached.parts_of(KINDS)
    bundle, params = model.engine.bundle, model.params
    origin.claim(home / "cache", cached.made_by(bundle, params, parts, *about))
    plan = precompute.Plan(given, rows, KINDS, window=BATCH)
    precompute.fill(model.engine, params, plan, home / "cache")
    return home / "cache"


def with_cache(config, folder, *read):
    config = config.copy_and_resolve_references()
    with config.unlocked():
        config.cache = dict(folder=str(folder), read=",".join(read or ("captions",)))
    return config


def batches(config):
    """As many as the cache is for."""
    given = recipe_lib.make(config).batches()
    return [next(given) for _ in range(STEPS)]


def test_captions_are_what_the_llm_says_in_the_step(plain, model, folder, monkeypatch):
    """Decoded one by one as rows are read, as the reference does, and by the cache."""

    @dataclasses.dataclass(frozen=True)
    class Live(wishes.Captions):
        def of(self, wish, own):
            if wish.picture is None:
                return model.rewrite([wish.text])[0]
            return model.rewrite_edits([wish.picture], [wish.text])[0]

    found = batches(with_cache(plain, folder))
    own = batches(plain)
    monkeypatch.setattr(reading.Settings, "captions", lambda self, processor: Live())
    live = batches(plain)
    jax.tree.map(np.testing.assert_array_equal, found, live)
    same = [
        np.array_equal(one[name]["t5_tokens"], other[name]["t5_tokens"])
        for one, other in zip(found, own, strict=True)
        for name in ("generate", "edit")
    ]
    assert not any(same)


def losses(config):
    """Every term of every batch, as a training step computes them."""
    recipe = recipe_lib.make(config, jax.devices()[:1])
    params = recipe.fresh_params()

    @jax.jit
    def compute(params, batch, number):
        terms = recipe.loss(params, batch, rng.Streams(0, number), number)
        return term.total(terms), term.summary(terms)

    return [compute(params, batch, n) for n, batch in enumerate(batches(config))]


def test_losses_are_those_without_the_cache(plain, folder):
    computed = losses(with_cache(plain, folder))
    brought = losses(with_cache(plain, folder, *KINDS))
    for (one, terms), (other, wanted) in zip(brought, computed, strict=True):
        np.testing.assert_allclose(one, other, 1e-5)
        assert terms.keys() == wanted.keys() > set(plain.objectives)
        for name in plain.objectives:
            found, want = (
                float(a[0]) / float(a[1]) for a in (terms[name], wanted[name])
            )
            np.testing.assert_allclose(found, want, 1e-5, err_msg=name)
            assert want > 0, name


def test_steps_are_those_without_the_cache(plain, folder, tmp_path):
    """Of adaption, which trains projector and queries; with just the rows it reads."""
    short = plain.copy_and_resolve_references()
    with short.unlocked():
        short.streams = dict(generate=plain.streams.generate.to_dict())
        short.objectives = dict(semantic=dict(stream="generate"))
        short.optim = dict(
            learning_rate=1e-2,
            trainable=((r"projector/.*|aligner/query_tokens", True), (".*", False)),
        )
        short.total_steps, short.log_every = STEPS, 1
    done = {}
    for read in (("captions",), ("captions", "targets", "states")):
        work = tmp_path / str(len(read))
        state = stage2.run(with_cache(short, folder, *read), work)
        assert int(state.step) == STEPS and int(state.skipped) == 0
        lines = (work / "metrics.jsonl").read_text().splitlines()
        told = [json.loads(one) for one in lines]
        done[read] = [one["semantic"] for one in told], state.params["projector"]
    (one, first), (other, second) = done.values()
    assert len(one) == STEPS and one[0] != one[1]
    np.testing.assert_allclose(one, other, 1e-5)
    # Adam divides by a gradient's size, so that rounding of the small ones grows.
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, 1e-3, 1e-5), first, second
    )


def test_rows_carry_what_was_asked(plain, folder):
    whole = batches(with_cache(plain, folder, *KINDS))[0]
    bare = batches(plain)[0]
    more = {
        "generate": {"t5_states", "latents", "memory_states"},
        "edit": {"t5_states", "latents", "memory_states"},
        "retrieve": {"image_states", "text_states"},
    }
    assert {name: set(whole[name]) - set(bare[name]) for name in bare} == more


def refused(config, tmp_path):
    """What stage 2 says, before it has written anything."""
    with pytest.raises(BridgeError) as told:
        stage2.run(config, tmp_path / "work")
    assert not (tmp_path / "work").exists()
    assert "\n" not in str(told.value)
    return str(told.value)


@pytest.mark.parametrize(
    ("part", "read"),
    [("vlm", "captions"), ("vlm", "states"), ("mt5", "targets"), ("vae", "latents")],
)
def test_other_weights_are_refused(plain, folder, home, tmp_path, part, read):
    """A single value of a single parameter is another."""
    config = with_cache(plain, folder, read)
    tensors = trees.flatten(weights_file.load(home / "start"))
    path = max(name for name in tensors if name.startswith(f"{part}/"))
    tensors[path] = tensors[path].copy()
    tensors[path].flat[0] += 1e-3
    about = weights_file.read_config(home / "start")
    weights_file.save(tmp_path / "other", trees.unflatten(tensors), about)
    config.init_from[part] = f"{tmp_path}/other:{part}"
    told = refused(config, tmp_path)
    hashes = store.Store(folder).origin.weights
    assert f"its {part} has weights {hashes[part][:12]} and this one's are" in told
    assert "init_from" in told and "bridge cache build" in told
    # What it does not read may differ.
    kept = next(k for k in KINDS if origin.MADE_BY[k] != part)
    kind = with_cache(config, folder, kept)
    recipe = recipe_lib.make(kind)
    params = recipe.fresh_params()
    mask = optim.make(recipe.config.optim, params, 1).trainable
    config = recipe.config
    cached.check(config.cache, recipe.bundle, params, config.processor, mask)


def test_parts_that_train_are_refused(plain, folder, tmp_path):
    config = with_cache(plain, folder, "captions", "targets")
    config.optim.trainable = ((r"(projector|mt5)/.*", True), (".*", False))
    assert "frozen parts, and mt5 trains" in refused(config, tmp_path)
    config.optim.trainable = ((r"projector/.*|lora/.*", True), (".*", False))
    with config.unlocked():
        config.lora = dict(rank=2)
    assert "frozen parts, and vlm trains" in refused(config, tmp_path)


def test_another_processor_or_no_cache_is_refused(plain, folder, tmp_path):
    config = with_cache(plain, folder)
    with config.unlocked():
        config.processor = dict(instructions="full")
    told = refused(config, tmp_path)
    assert "its processor.instructions is 'short' and this one's 'full'" in told
    none = with_cache(plain, tmp_path)
    assert "bridge cache build" in refused(none, tmp_path)


def test_kinds_that_it_lacks_are_told(plain, folder, tmp_path):
    known = store.Store(folder).origin
    origin.claim(tmp_path / "empty", known)
    told = refused(with_cache(plain, tmp_path / "empty", "states"), tmp_path)
    assert "holds no states" in told and "--what states" in told


def test_weights_are_the_same_in_another_type():
    half = {"a": {"b": np.arange(5).astype(ml_dtypes.bfloat16)}, "n": np.arange(3)}
    wide = {"a": {"b": np.arange(5, dtype=np.float32)}, "n": np.arange(3)}
    assert weights_hash.of(half, types=False) == weights_hash.of(wide, types=False)
    assert weights_hash.of(half) != weights_hash.of(wide)
    other = {"a": {"b": np.arange(5, dtype=np.float32)[::-1]}, "n": np.arange(3)}
    assert weights_hash.of(other, types=False) != weights_hash.of(wide, types=False)


def test_frozen_parts_are_the_runs_own(plain):
    """Fresh or from files, whichever way a config names them."""
    recipe = recipe_lib.make(plain)
    want = recipe.fresh_params()
    bundle, _, params = cached.frozen(typed(plain), ("targets", "latents"))
    assert set(bundle.parts) == set(params) == {"mt5", "vae"}
    whole = plain.copy_and_resolve_references()
    [start] = {source.partition(":")[0] for source in plain.init_from.values()}
    with whole.unlocked():
        whole.init_from = {"": start}
    _, _, same = cached.frozen(typed(whole), ("targets", "latents"))
    for part in params:
        assert weights_hash.of(params[part]) == weights_hash.of(want[part])
        assert weights_hash.of(same[part]) == weights_hash.of(want[part])
    del whole.model["mt5"]
    with pytest.raises(BridgeError, match="no part mt5, which makes targets"):
        cached.frozen(typed(whole), ("targets", "latents"))
