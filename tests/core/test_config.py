import dataclasses
from typing import Any, Literal

import pytest
from ml_collections import ConfigDict, config_dict

from bridge_jax.core import config
from bridge_jax.core.errors import BridgeError

FILE = """
from ml_collections import ConfigDict, config_dict
VARIANTS = ("", "tiny")
def get_config(variant=""):
    c = ConfigDict({"steps": 100, "optim": {"name": "adamw", "rate": 1e-3}})
    c.mask = (("a", True),)
    c.limit = config_dict.placeholder(int)
    c.width = 8 if variant == "tiny" else 4096
    return c
"""


@pytest.fixture
def path(tmp_path):
    folder = tmp_path / "configs"
    folder.mkdir()
    (folder / "toy.py").write_text(FILE)
    return str(folder / "toy.py")


def test_variant_and_overrides(path):
    c = config.load(
        path + ":tiny,steps=7",
        [
            "--config.optim.rate=1",
            "--config.mask=(('b', False), ('.*', True))",
            "limit=3",
            "--config.optim.name=lion",
        ],
    )
    assert (c.width, c.steps, c.limit) == (8, 7, 3)
    assert c.optim.rate == 1.0 and isinstance(c.optim.rate, float)
    assert c.mask == (("b", False), (".*", True)) and c.optim.name == "lion"
    for spec in (path + ":steps=2e3", path + ",steps=2e3"):
        assert config.load(spec).steps == 2000


def test_every_wrong_override_is_named_at_once(path):
    with pytest.raises(BridgeError) as raised:
        config.load(
            path,
            [
                "--config.optm.rate=1",
                "optim.rat=2",
                "steps=many",
                "optim=3",
                "steps.a=1",
            ],
        )
    text = str(raised.value)
    assert "'optm' (did you mean 'optim'?)" in text
    assert "'optim.rat' (did you mean 'rate'?)" in text
    assert "steps is int, got 'many'" in text
    assert "optim is a group of keys" in text and "'steps.a'" in text
    with pytest.raises(BridgeError, match="not of the form"):
        config.load(path, ["--config.steps"])


def test_wrong_file_or_variant(path):
    with pytest.raises(BridgeError, match="no variant 'tin' .did you mean 'tiny'"):
        config.load(path + ":tin")
    with pytest.raises(BridgeError, match="no config file nowhere.py"):
        config.load("nowhere.py")


def test_json_round_trip(path):
    c = config.load(path)
    again = config.from_json(config.to_json(c))
    assert again.to_dict() == c.to_dict() and again.mask == (("a", True),)


@dataclasses.dataclass(frozen=True)
class Inner:
    name: Literal["a", "b"] = "a"
    rate: float = 0.1


@dataclasses.dataclass(frozen=True)
class Outer:
    width: int
    inner: Inner = Inner()
    maybe: Inner | None = None
    mask: tuple[tuple[str, bool], ...] = ()
    names: dict[str, Any] = dataclasses.field(default_factory=dict)
    size: int | None = None


def test_to_dataclass():
    given = ConfigDict({"width": 3, "inner": {"rate": 1}, "names": {"x": {"y": 1}}})
    given.mask = [["a", True]]
    given.size = config_dict.placeholder(int)
    made = config.to_dataclass(Outer, given)
    assert made == Outer(3, Inner(rate=1.0), None, (("a", True),), {"x": {"y": 1}})
    assert type(made.names["x"]) is dict and type(made.inner.rate) is float
    assert config.to_dataclass(Outer, {"width": 1, "maybe": {"name": "b"}}).maybe
    assert config.from_json(config.to_json(made)).inner.rate == 1.0


def test_to_dataclass_names_all_mistakes():
    given = {
        "inner": {"nam": "a", "name": "c", "rate": "fast"},
        "mask": [["a"]],
        "size": 1.5,
        "maybe": {"rte": 1},
        "wdith": 3,
    }
    with pytest.raises(BridgeError) as raised:
        config.to_dataclass(Outer, given, where="model")
    text = str(raised.value)
    for part in (
        "unknown key model.wdith (did you mean 'width'?)",
        "model.width is missing",
        "unknown key model.inner.nam (did you mean 'name'?)",
        "model.inner.name is 'c', must be one of ['a', 'b']",
        "model.inner.rate is 'fast', must be float",
        "model.mask[0] has 1 entries, must have 2",
        "model.size is 1.5, must be int or None",
        "unknown key model.maybe.rte (did you mean 'rate'?)",
    ):
        assert part in text
    with pytest.raises(BridgeError, match="width is True"):
        config.to_dataclass(Outer, {"width": True})
