"""A cache filled: what decoding and the training step would make, on any mesh."""

import dataclasses

import jax
import jax.numpy as jnp
import miniature
import numpy as np
import pytest

import bridge_jax
from bridge_jax.core import rng
from bridge_jax.core.errors import BridgeError
from bridge_jax.data import pipeline
from bridge_jax.data.cache import fields, origin, records, shards, store, wishes
from bridge_jax.inference import precompute, settings
from bridge_jax.inference.answering import decode
from bridge_jax.inference.drawing import captions
from bridge_jax.layers import kv_cache as kv
from bridge_jax.models import view as view_lib

NEW = 24
PROMPTS = ["a red circle", "two blue rings left of a small green star", "a star"]
PROMPTS += ["draw four things", "a photo of a ring", "a cyan cross above a ring"]
STREAMS = {
    "generate": {"source": "shapes_generate"},
    "edit": {"source": "shapes_edit"},
    "retrieve": {"source": "shapes_retrieve"},
}
ROWS = {"generate": 8, "edit": 5, "retrieve": 3}
PLAN = precompute.Plan(STREAMS, ROWS, origin.KINDS, window=3)
TOLERANCE = 1e-5


def filled(model, folder, plan=PLAN):
    """How many records of each kind are new."""
    decoding = captions.decoding(model.processor)
    origin.claim(folder, origin.Origin({}, {}, {}, decoding, {}))
    return precompute.fill(model.engine, model.params, plan, folder)


def contents(folder):
    """(kind, name) -> {array: bytes}."""
    found = {}
    for kind in origin.KINDS:
        held = store.Kind(folder, kind)
        for name in held:
            arrays = held.get(name)
            found[kind, name] = {key: one.tobytes() for key, one in arrays.items()}
    return found


@pytest.fixture(scope="module")
def model(folder, attentive):
    return attentive(bridge_jax.load(folder, limits=settings.Limits(rows=4)))


@pytest.fixture(scope="module")
def cache(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache") / "whole"
    filled(model, folder)
    return folder


def test_states_by_one_prefill_equal_states_by_decoding(model):
    """Of tokens that the model itself has said, in left-padded batches as it does."""
    engine, processor, params = model.engine, model.processor, model.params
    asked = [decode.Conversation(processor.draw(text, None)) for text in PROMPTS]
    batch = decode.prepare(engine, asked)
    config = engine.bundle["vlm"].config
    rows, length = batch["vlm"]["tokens"].shape

    @jax.jit
    def decoded(params, given, deltas):
        """The loop of `decode.answer`, every step's states kept."""

        def step(carry, _):
            cache, hidden = carry
            said = engine.bundle.apply("vlm", params, hidden, method="logits")[:, 0]
            token = jnp.argmax(said, axis=-1).astype(jnp.int32)[:, None]
            at, ones = kv.next_positions(cache, deltas), jnp.ones_like(token)
            hidden, out = engine.bundle.apply(
                "vlm", params, token, at, ones, cache=cache
            )
            return (out["cache"], hidden), (token[:, 0], hidden[:, 0])

        given = dict(given, positions=jnp.moveaxis(given["positions"], 1, 0))
        cache = kv.empty(config, rows, length + NEW)
        hidden, out = engine.bundle.apply("vlm", params, **given, cache=cache)
        start = (out["cache"], hidden[:, -1:])
        _, found = jax.lax.scan(step, start, None, NEW)
        return jax.tree.map(lambda leaf: jnp.moveaxis(leaf, 0, 1), found)

    tokens, states = map(np.array, decoded(params, batch["vlm"], batch["deltas"]))
    choice = decode.Choice(NEW)
    numbers = np.zeros(len(PROMPTS), np.uint32)
    answers = decode.answers(engine, params, asked, choice, numbers)
    assert len({tuple(row) for row in tokens.tolist()}) > len(PROMPTS) / 2
    assert sum(len(answer.tokens) for answer in answers) > NEW
    scale = np.abs(states).max()
    for i, (one, answer) in enumerate(zip(asked, answers, strict=True)):
        count = len(answer.tokens)
        assert answer.tokens.tolist() == tokens[i, :count].tolist()
        kept = {name: np.zeros(count, bool) for name in ("response", "visual")}
        kept |= {"tokens": answer.tokens, "caption": np.ones(count, bool)}
        joined = {k: np.concatenate([getattr(one.row, k), v]) for k, v in kept.items()}
        whole = dataclasses.replace(one.row, **joined)
        vlm, _, marked = processor.vlm([whole], [], 128, 0)
        index, mask = processor.memory(marked)
        row = {"vlm": vlm, "memory_index": index, "memory_mask": mask}
        # The program that fills the cache, on a row as a stream makes it.
        padded = jax.tree.map(lambda leaf: np.stack([leaf, leaf]), row)
        out = engine.run(precompute.derived, params, padded, {}, kind="states")
        prefilled = fields.stored(
            "memory_states", row, np.array(out["memory_states"])[0]
        )
        assert prefilled.shape == (count, config.hidden_size)
        error = np.abs(prefilled - states[i, :count]).max() / scale
        assert error < TOLERANCE


def test_captions_are_those_of_the_model(model, cache):
    held = store.Kind(cache, "captions")
    heard = wishes.Heard()
    for name in ("generate", "edit"):
        stream = pipeline.load_stream(name, STREAMS[name], model.processor, heard)
        for index in range(ROWS[name]):
            stream(index)
    prompts = [one for one in heard.wishes if one.picture is None]
    edits = [one for one in heard.wishes if one.picture is not None]
    texts = model.rewrite([one.text for one in prompts])
    texts += model.rewrite_edits(
        [one.picture for one in edits], [one.text for one in edits]
    )
    found = [held.get(one.name(model.processor)) for one in [*prompts, *edits]]
    assert [records.text(one["text"]) for one in found] == texts
    assert len(set(texts)) > 8
    assert len(held) == len({one.name(model.processor) for one in heard.wishes})


def test_fields_are_those_of_a_view(model, cache):
    """Row by row, as the training step sees the row without what was cached."""
    answers = wishes.Cached(str(cache), model.processor)
    store.forget()
    names = {"targets": "mt5_states", "latents": "latents"}
    for name, given in STREAMS.items():
        row = pipeline.load_stream(name, given, model.processor, answers)(1)
        sides = fields.sides(row)
        batch = jax.tree.map(lambda leaf: leaf[None], row)
        kinds = {
            field: (kind, key)
            for kind in ("targets", "latents", "states")
            for field, key in fields.wanted(kind, row).items()
        }

        @jax.jit
        def look(params, batch, kinds=kinds, sides=sides):
            streams = rng.Streams(0, 0)
            seen = view_lib.View(
                model.engine.bundle, params, batch, rngs=streams, step=0
            )

            def shown(field, kind):
                if kind in names:
                    return getattr(seen, names[kind])
                prefix = field.removesuffix("_states")
                index = batch[f"{prefix}_index"]
                hidden = seen.hidden(sides[prefix])
                return jnp.take_along_axis(hidden, index[..., None], axis=1)

            return {field: shown(field, kind) for field, (kind, _) in kinds.items()}

        for field, rows in look(model.params, batch).items():
            kind, key = kinds[field]
            want = fields.stored(field, row, np.array(rows[0]))
            found = store.Kind(cache, kind).get(key)["array"]
            assert found.dtype == want.dtype
            close(found, want, field)


def close(found, want, what):
    assert found.shape == want.shape, what
    assert np.abs(found - want).max() <= TOLERANCE * np.abs(want).max(), what


def test_what_is_there_is_not_made_again(model, cache):
    before = contents(cache)
    assert filled(model, cache) == dict.fromkeys(origin.KINDS, 0)
    assert contents(cache) == before
    for kind in origin.KINDS:  # and nothing twice to begin with
        assert len(store.Kind(cache, kind)) == len({n for k, n in before if k == kind})


@pytest.mark.parametrize("stop", [1, 4, 9])
def test_an_interrupted_build_goes_on_with_the_same_bytes(
    model, cache, tmp_path, monkeypatch, stop
):
    class Interrupted(Exception):
        pass

    add, left = shards.Writer.add, [stop]

    def interrupted(self, kind, packed):
        if not left[0]:
            raise Interrupted
        left[0] -= 1
        return add(self, kind, packed)

    with monkeypatch.context() as patched:
        patched.setattr(shards.Writer, "add", interrupted)
        with pytest.raises(Interrupted):
            filled(model, tmp_path / "cache")
    assert len(list((tmp_path / "cache").glob("*.names"))) == stop
    filled(model, tmp_path / "cache")
    assert contents(tmp_path / "cache") == contents(cache)


def test_eight_devices_make_what_one_makes(folder, attentive, cache, tmp_path):
    limits = settings.Limits(rows=8)
    mesh = {"data": 2, "fsdp": 2, "tensor": 2}
    several = attentive(bridge_jax.load(folder, mesh, limits=limits))
    filled(several, tmp_path / "cache")
    found, want = contents(tmp_path / "cache"), contents(cache)
    # Names of targets and states hold captions: equal names are equal captions.
    assert set(found) == set(want)
    for (kind, name), arrays in want.items():
        if kind == "captions":
            assert found[kind, name] == arrays
        else:
            one, other = (
                np.frombuffer(some["array"], np.float32)
                for some in (found[kind, name], arrays)
            )
            close(one, other, kind)


def test_shares_are_the_whole(model, cache, tmp_path):
    """Two processes; captions alone, the rest is shared out alike."""
    for share in (1, 0):
        plan = dataclasses.replace(PLAN, kinds=("captions",), share=share, shares=2)
        filled(model, tmp_path / "cache", plan)
    names = {path.name for path in (tmp_path / "cache").glob("*.names")}
    assert {name.partition("of")[0] for name in names} == {"captions-0", "captions-1"}
    found = contents(tmp_path / "cache")
    assert found == {key: one for key, one in contents(cache).items() if key in found}
    assert len(found) == len(store.Kind(cache, "captions"))


def test_a_window_may_have_pictures_of_several_sizes(model, pictures):
    shown = [pictures[0], pictures[1][:32], pictures[2][:32], pictures[0]]
    rows = [{"images": one} for one in shown]
    whole = precompute._fields(model.engine, model.params, "latents", rows, set())
    assert len(whole) == 3
    for row in rows:
        [name] = fields.wanted("latents", row).values()
        alone = precompute._fields(model.engine, model.params, "latents", [row], set())
        close(whole[name], alone[name], "latents")


def test_targets_without_captions_are_of_the_rows_own(model, tmp_path):
    plan = dataclasses.replace(PLAN, kinds=("targets",))
    filled(model, tmp_path / "cache", plan)
    row = pipeline.load_stream("generate", STREAMS["generate"], model.processor)(2)
    [name] = fields.wanted("targets", row).values()
    assert name in store.Kind(tmp_path / "cache", "targets")
    assert not len(store.Kind(tmp_path / "cache", "captions"))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"rows": {"generate": 0, "edit": 1}}, "no rows of generate"),
        ({"streams": {"one": {"source": "shapes_gen"}}}, "'shapes_generate'"),
    ],
)
def test_plans_are_checked(given, told):
    with pytest.raises(BridgeError, match=told):
        precompute.check(dataclasses.replace(PLAN, **given), miniature.PROCESSOR)
