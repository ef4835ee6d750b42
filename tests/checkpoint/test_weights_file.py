import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file

from bridge_jax.checkpoint import weights_file
from bridge_jax.checkpoint.init_from import init_from
from bridge_jax.core.errors import BridgeError


def params(scale=1.0):
    return {
        "llm": {"dense": {"kernel": scale * jnp.arange(6.0).reshape(2, 3)}},
        "dit": {"bias": scale * jnp.full((3,), 1 / 3)},
    }


def test_round_trip_is_bit_exact_and_self_described(tmp_path):
    weights_file.save(tmp_path / "w", params(), {"width": 3})
    made = weights_file.load(tmp_path / "w", params())
    for a, b in zip(jax.tree.leaves(made), jax.tree.leaves(params()), strict=True):
        np.testing.assert_array_equal(a, b)
    assert weights_file.read_config(tmp_path / "w") == {"width": 3}
    assert set(load_file(tmp_path / "w" / "model.safetensors")) == {
        "llm/dense/kernel",
        "dit/bias",
    }
    assert not list((tmp_path / "w").glob("*.partial"))


def test_bfloat16_halves_and_comes_back_as_float32(tmp_path):
    weights_file.save(tmp_path, params(), {}, dtype="bfloat16")
    made = weights_file.load(tmp_path, params())
    assert made["dit"]["bias"].dtype == np.float32
    np.testing.assert_allclose(made["dit"]["bias"], 1 / 3, rtol=4e-3)
    kept = weights_file.load(tmp_path, prefix="dit", dtype=None)
    assert kept["bias"].dtype == jnp.bfloat16


def test_all_misfits_at_once(tmp_path):
    weights_file.save(tmp_path, params(), {})
    wanted = {
        "llm": {"dense": {"kernel": np.ones((3, 2)), "bias": np.ones(3)}},
    }
    with pytest.raises(BridgeError) as raised:
        weights_file.load(tmp_path, wanted)
    text = str(raised.value)
    assert "llm/dense/kernel is [2, 3], wanted [3, 2]" in text
    assert "missing llm/dense/bias" in text and "unused dit/bias" in text


@pytest.mark.parametrize("content", [b"", b"\x00" * 7, b"\xff" * 64, b"not one"])
def test_broken_files_are_one_clear_line(tmp_path, content):
    file = tmp_path / "model.safetensors"
    file.write_bytes(content)
    with pytest.raises(BridgeError, match="not a whole safetensors file"):
        weights_file.load(tmp_path)


def test_truncated_and_missing(tmp_path):
    weights_file.save(tmp_path, params(), {})
    file = tmp_path / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-3])
    with pytest.raises(BridgeError, match="not a whole"):
        weights_file.open_file(tmp_path)
    with pytest.raises(BridgeError, match="does not exist"):
        weights_file.open_file(tmp_path / "none")
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(BridgeError, match="cannot read"):
        weights_file.read_config(tmp_path)


def test_init_from_fills_named_parts_only(tmp_path):
    weights_file.save(tmp_path / "a", params(2.0), {})
    weights_file.save(tmp_path / "b", {"bias": np.zeros(3, np.float32)}, {})
    made = init_from(params(), {"llm": f"{tmp_path}/a:llm", "dit": str(tmp_path / "b")})
    np.testing.assert_array_equal(
        made["llm"]["dense"]["kernel"], params(2.0)["llm"]["dense"]["kernel"]
    )
    assert not made["dit"]["bias"].any()
    only = init_from(params(), {"llm": f"{tmp_path}/a:llm"})
    np.testing.assert_array_equal(only["dit"]["bias"], params()["dit"]["bias"])
    whole = init_from(params(), {"": f"{tmp_path}/a"})
    np.testing.assert_array_equal(whole["dit"]["bias"], params(2.0)["dit"]["bias"])


def test_init_from_tells_everything_at_once(tmp_path):
    weights_file.save(tmp_path / "a", {"dense": {"kernel": np.ones((5, 3))}}, {})
    with pytest.raises(BridgeError) as raised:
        init_from(
            params(),
            {"llm": f"{tmp_path}/a", "dit": f"{tmp_path}/none", "vae": f"{tmp_path}/a"},
        )
    text = str(raised.value)
    assert "llm/dense/kernel is [5, 3], wanted [2, 3]" in text
    assert f"{tmp_path}/none" in text and "nothing below 'vae'" in text


def test_config_is_plain_json(tmp_path):
    weights_file.save(tmp_path, params(), {"sizes": (1, 2)})
    assert json.loads((tmp_path / "config.json").read_text()) == {"sizes": [1, 2]}


def onto(folder, changed, base="stage0"):
    """`params()` in a folder inside `folder`, which brings `changed` instead."""
    about = {"model": {"llm": {"width": 3}, "dit": {"width": 1}}, "processor": {}}
    weights_file.save(folder / "stage0", params(), about)
    own = {"model": {"llm": {"width": 3}}, "base": base}
    weights_file.save(folder, changed, own)
    return folder


def test_a_folder_may_hold_only_what_differs(tmp_path):
    changed = {"llm": params(2.0)["llm"]}
    folder = onto(tmp_path, changed)
    made = weights_file.load(folder, params())
    np.testing.assert_array_equal(
        made["llm"]["dense"]["kernel"], changed["llm"]["dense"]["kernel"]
    )
    np.testing.assert_array_equal(made["dit"]["bias"], params()["dit"]["bias"])
    about = weights_file.read_config(folder)
    assert about["model"] == {"llm": {"width": 3}, "dit": {"width": 1}}
    assert set(load_file(folder / "model.safetensors")) == {"llm/dense/kernel"}


@pytest.mark.parametrize("base", ["/etc", "..", ".", "a/b", 1])
def test_a_base_is_a_folder_inside_or_nothing(tmp_path, base):
    folder = onto(tmp_path, {"llm": params()["llm"]}, base)
    with pytest.raises(BridgeError, match="may only name a folder inside"):
        weights_file.open_file(folder)


def test_a_base_is_no_link(tmp_path):
    folder = onto(tmp_path / "whole", {"llm": params()["llm"]}, "other")
    (folder / "other").symlink_to(tmp_path / "whole")
    with pytest.raises(BridgeError, match="links out of its folder"):
        weights_file.open_file(folder)
