"""What of a config can be overridden, and what it then says."""

import pytest

from bridge_jax.cli import resolve
from bridge_jax.core.errors import BridgeError
from bridge_jax.train import recipe

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


def test_any_field_of_an_objective_can_be_set_and_no_other_appears():
    before = resolve.resolve(CONFIG, ())
    after = resolve.resolve(CONFIG, ["--config.objectives.sft.blocks=4"])
    assert "blocks" not in before.objectives.sft
    assert dict(after.objectives.sft) == {**before.objectives.sft, "blocks": 4}
    assert after.model == before.model


def test_any_field_of_a_part_can_be_set_and_no_other_appears():
    given = ["--config.model.vlm.vision.depth=3", "--config.model.vlm.eps=1e-5"]
    before = resolve.resolve(CONFIG, ())
    after = resolve.resolve(CONFIG, given)
    assert "vision" not in before.model.vlm
    told = before.model.vlm.to_dict() | {"vision": {"depth": 3}, "eps": 1e-5}
    assert after.model.vlm.to_dict() == told
    [part] = recipe.make(after).bundle.parts.values()
    assert part.config.vision.depth == 3


def test_what_follows_a_comma_is_an_override_like_any_other():
    given = ["--config.objectives.sft.blocks=4", "--config.total_steps=7"]
    inline = f"{CONFIG},objectives.sft.blocks=4,config.total_steps=7"
    assert resolve.resolve(inline, ()) == resolve.resolve(CONFIG, given)


def test_groups_that_a_file_begins_are_filled_up():
    given = ["--config.model.vlm.langbridge.form=softmax"]
    after = resolve.resolve("configs/shapes_langbridge.py:adapter-qwen2", given)
    assert set(after.model.vlm.langbridge) == {"vision", "vocab", "form"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("objectives.sft.block=4", r"objectives.sft.block' .did you mean 'blocks'"),
        ("model.vlm.layer=4", r"model.vlm.layer' .did you mean 'layers'"),
        ("model.vlm.vision.dept=4", r"vision.dept' .did you mean 'depth'"),
        ("model.vlm.vision.depth=x", "model.vlm.vision.depth is int, got 'x'"),
        ("model.vlm.vision=3", "is a group of keys"),
        ("objectives.stf.blocks=4", r"objectives.stf' .did you mean 'sft'"),
    ],
)
def test_mistakes_in_parts_and_objectives(text, told):
    with pytest.raises(BridgeError, match=told):
        resolve.resolve(CONFIG, [f"--config.{text}"])
