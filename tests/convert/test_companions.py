"""Tokenizers travel with weights, and a model that was imported speaks."""

import shutil

import numpy as np
import pytest
import tiny_model

import bridge_jax
from bridge_jax.checkpoint import weights_file
from bridge_jax.convert import companions, run
from bridge_jax.core.errors import BridgeError
from bridge_jax.data import tokens


@pytest.fixture
def released(tmp_path):
    """A folder as transformers would leave it: weights, config and tokenizer."""
    ours = tiny_model.write(tmp_path / "ours", "vlm")
    run.export("qwen2_vl", ours, tmp_path / "released")
    for file in (tokens.BUILT_IN / "qwen2_vl").iterdir():
        shutil.copyfile(file, tmp_path / "released" / file.name)
    return tmp_path / "released"


def test_an_imported_model_answers(released, tmp_path):
    run.import_("qwen2_vl", released, tmp_path / "back")
    told = weights_file.read_config(tmp_path / "back")["processor"]
    assert told["tokenizers"] == "tokenizers" and told["instructions"] == "full"
    model = bridge_jax.load(tmp_path / "back")
    assert model.processor.config.tokenizers == str(tmp_path / "back" / "tokenizers")
    picture = np.zeros((64, 64, 3), np.uint8)
    [answer] = model.chat([picture], ["what is this?"], max_new_tokens=4)
    assert len(answer.tokens) <= 4


def test_tokenizers_come_back_out(released, tmp_path):
    run.import_("qwen2_vl", released, tmp_path / "back")
    run.export("qwen2_vl", tmp_path / "back", tmp_path / "again")
    for file in (tokens.BUILT_IN / "qwen2_vl").iterdir():
        assert (tmp_path / "again" / file.name).read_bytes() == file.read_bytes()


def test_without_a_tokenizer_the_built_in_one_is_used(released, tmp_path):
    (released / "tokenizer.json").unlink()
    run.import_("qwen2_vl", released, tmp_path / "back")
    assert "tokenizers" not in weights_file.read_config(tmp_path / "back")["processor"]


def test_links_out_of_the_folder_are_refused(released, tmp_path):
    (tmp_path / "secret").write_text("x")
    (released / "vocab.json").symlink_to(tmp_path / "secret")
    with pytest.raises(BridgeError, match=r"vocab.json links out of its folder"):
        companions.copy(released, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
