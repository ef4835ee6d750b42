"""What streams ask of the LLM, and what a cache brings to their rows."""

import dataclasses

import jax
import miniature
import numpy as np
import pytest

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import pipeline
from bridge_jax.data import processor as processor_lib
from bridge_jax.data.cache import (
    fields,
    origin,
    reading,
    records,
    shards,
    store,
    wishes,
)

PROCESSOR = miniature.PROCESSOR
ASKING = {"shapes_generate": None, "shapes_edit": 64}  # -> pixels of their pictures
SAID = "two small red rings, on a black background"


def make(source, captions=None, **given):
    return pipeline.load_stream(source, given, PROCESSOR, captions)


def wish(source, index):
    heard = wishes.Heard()
    make(source, heard)(index)
    [one] = heard.wishes
    return one


def fill(folder, kind, arrays):
    """A cache with these records, of which nothing else is known."""
    origin.claim(folder, origin.Origin({}, {}, {}, {}, {}))
    packed = {name: records.pack(name, one) for name, one in arrays.items()}
    shards.Writer(folder).add(kind, packed)
    store.forget()
    return str(folder)


def captioned(folder, *asked):
    told = {"text": records.letters(SAID)}
    return fill(folder, "captions", {one.name(PROCESSOR): told for one in asked})


@pytest.mark.parametrize("source", ASKING)
def test_a_row_asks_once_and_the_answer_is_its_caption(source, tmp_path):
    one = wish(source, 3)
    side = ASKING[source]
    assert (one.picture is None) == (side is None)
    assert one.picture is None or one.picture.shape == (side, side, 3)
    folder = captioned(tmp_path / "cache", one)
    plain = make(source)(3)
    told = make(source, reading.Settings(folder).captions(PROCESSOR))(3)
    texts = PROCESSOR.texts(SAID, "")
    np.testing.assert_array_equal(told["t5_tokens"], texts["t5_tokens"])
    np.testing.assert_array_equal(told["images"], plain["images"])
    said = PROCESSOR.llm.decode(told["vlm"]["tokens"])
    assert (SAID in said) == (source == "shapes_generate")  # edits: the picture alone
    if source == "shapes_generate":
        marked = told["vlm"]["tokens"][told["memory_index"][told["memory_mask"]]]
        assert PROCESSOR.llm.decode(marked) == SAID


def test_heard_rows_are_the_streams_own():
    for source in ASKING:
        plain, heard = make(source)(5), make(source, wishes.Heard())(5)
        jax.tree.map(np.testing.assert_array_equal, plain, heard)


@pytest.mark.parametrize("source", ASKING)
def test_a_wish_is_named_by_what_the_llm_is_shown(source):
    one, other = wish(source, 3), wish(source, 4)
    assert one.name(PROCESSOR) == wish(source, 3).name(PROCESSOR)
    assert one.name(PROCESSOR) != other.name(PROCESSOR)
    renamed = dataclasses.replace(one, text=other.text)
    assert renamed.name(PROCESSOR) != one.name(PROCESSOR)
    same = renamed.name(PROCESSOR) == other.name(PROCESSOR)
    assert same == (one.picture is None)
    full = dataclasses.replace(PROCESSOR.config, instructions="full")
    assert one.name(PROCESSOR) != one.name(processor_lib.Processor(full))
    if one.picture is not None:
        changed = one.picture.copy()
        changed[0, 0, 0] ^= 1
        assert wishes.Wish(one.text, changed).name(PROCESSOR) != one.name(PROCESSOR)


def test_a_missing_caption(tmp_path):
    folder = captioned(tmp_path / "cache", wish("shapes_generate", 3))
    settings = reading.Settings(folder)
    prompt = wish("shapes_generate", 4).text
    with pytest.raises(
        BridgeError, match=r"no caption of .*bridge cache build"
    ) as told:
        make("shapes_generate", settings.captions(PROCESSOR))(4)
    assert prompt[:20] in str(told.value)
    own = dataclasses.replace(settings, missing="own")
    row = make("shapes_generate", own.captions(PROCESSOR))(4)
    plain = make("shapes_generate")(4)
    jax.tree.map(np.testing.assert_array_equal, row, plain)


@pytest.mark.parametrize("processes", [0, 1])
def test_rows_read_ahead_are_no_error(tmp_path, processes):
    """A run reads a few batches more than it trains on."""
    asked = [wish("shapes_generate", index) for index in range(6)]
    cache = reading.Settings(captioned(tmp_path / "cache", *asked))
    streams = {"generate": {"source": "shapes_generate", "batch": 2}}
    settings = pipeline.Settings(streams, processes=processes, cache=cache)
    given = pipeline.batches(settings, PROCESSOR)
    for _ in range(3):
        assert next(given)["generate"]["t5_tokens"].shape[0] == 2
    with pytest.raises(BridgeError, match="no caption of"):
        next(given)


ROWS = {
    "shapes_generate": {"targets": 1, "latents": 1, "states": 1},
    "shapes_edit": {"targets": 1, "latents": 1, "states": 1},
    "shapes_retrieve": {"targets": 0, "latents": 0, "states": 2},
    "shapes_instruct": {"targets": 0, "latents": 0, "states": 0},
}


@pytest.mark.parametrize("source", ROWS)
def test_what_rows_have_a_use_for(source):
    row = make(source)(0)
    counts = {kind: len(fields.wanted(kind, row)) for kind in ROWS[source]}
    assert counts == ROWS[source]
    again, other = make(source)(0), make(source)(1)
    for kind, count in counts.items():
        assert fields.wanted(kind, again) == fields.wanted(kind, row)
        assert not count or fields.wanted(kind, other) != fields.wanted(kind, row)
        read = fields.reads(kind, row) if count else {}
        assert set(read) <= set(row)
        assert fields.wanted(kind, read) == fields.wanted(kind, row)


def test_padding_names_no_state():
    for source, longer in (
        ("shapes_generate", {"length": 120}),
        ("shapes_edit", {"length": 32, "num_patches": 96}),
    ):
        row, padded = make(source)(2), make(source, **longer)(2)
        assert row["vlm"]["tokens"].shape != padded["vlm"]["tokens"].shape
        assert fields.wanted("states", row) == fields.wanted("states", padded)


def test_every_field_that_decides_is_in_the_name():
    for source in ("shapes_generate", "shapes_edit"):
        row = make(source)(2)
        for kind in ("targets", "latents", "states"):
            before = fields.wanted(kind, row)
            flat = jax.tree_util.tree_flatten_with_path(fields.reads(kind, row))[0]
            for path, leaf in flat:
                changed = jax.tree.map(np.copy, dict(row))
                node = changed
                for key in path[:-1]:
                    node = node[key.key]
                first = (0,) * leaf.ndim
                array = node[path[-1].key]
                array[first] = (
                    not array[first] if leaf.dtype == bool else array[first] + 1
                )
                assert fields.wanted(kind, changed) != before, (kind, path)


def test_rows_are_completed(tmp_path):
    row = make("shapes_generate")(0)
    count, width = int(row["memory_mask"].sum()), 7
    states = np.random.default_rng(0).normal(size=(len(row["memory_mask"]), width))
    [(field, name)] = fields.wanted("states", row).items()
    kept = fields.stored(field, row, states)
    assert kept.shape == (count, width)
    folder = fill(tmp_path / "cache", "states", {name: {"array": kept}})
    settings = reading.Settings(folder, "states")
    whole = settings.around(make("shapes_generate"))(0)
    assert set(whole) == {*row, "memory_states"}
    np.testing.assert_array_equal(whole["memory_states"][:count], states[:count])
    assert not whole["memory_states"][count:].any()
    with pytest.raises(
        BridgeError, match="no states of row 1: run `bridge cache build"
    ):
        settings.around(make("shapes_generate"))(1)
    plain = settings.around(make("shapes_instruct"))(0)
    assert set(plain) == set(make("shapes_instruct")(0))


def test_settings_are_checked():
    assert reading.Settings().kinds == ()
    stream = make("shapes_generate")
    assert reading.Settings().around(stream) is stream
    with pytest.raises(BridgeError, match="'captons' .did you mean 'captions'"):
        reading.Settings("somewhere", "captions,captons")
    with pytest.raises(BridgeError, match="'' is none of captions"):
        reading.Settings("somewhere", "")
