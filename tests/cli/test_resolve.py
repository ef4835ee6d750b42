"""What of a config can be overridden, and what it then says."""

import pytest

from bridge_jax.cli import resolve
from bridge_jax.core.errors import BridgeError

CONFIG = "configs/shapes_stage1.py"
MAIN = "--config.streams.main"


def streams(*overrides):
    return resolve.resolve(CONFIG, overrides).streams


def test_any_field_of_a_stream_can_be_set_and_no_other_appears():
    before, after = streams(), streams(f"{MAIN}.describe=0.5")
    assert "describe" not in before.main
    assert dict(after.main) == {**before.main, "describe": 0.5}
    assert after.caption == before.caption


def test_another_source_keeps_the_fields_that_it_has_too():
    given = (f"{MAIN}.source=packed_conversations", f"{MAIN}.data=mine.jsonl")
    before = streams(f"{MAIN}.evenness=0.25", f"{MAIN}.slips=0.1")
    assert before.main.slips == 0.1
    after = streams(*given, f"{MAIN}.evenness=0.25")
    assert after.main.data == "mine.jsonl" and after.main.batch == before.main.batch
    assert set(after.main) == {"source", "batch", "data", "evenness"}


def test_mistakes_are_told_with_the_names_there_are():
    with pytest.raises(BridgeError, match="did you mean 'conversations'"):
        streams(f"{MAIN}.source=conversation")
    with pytest.raises(BridgeError, match=r"streams.main.dat' .did you mean 'data'"):
        streams(f"{MAIN}.source=images", f"{MAIN}.dat=x")
