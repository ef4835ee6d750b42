"""Loading: parts that are there, parts that are not, and weights that do not fit."""

import json
import subprocess
import sys

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import bridge_jax
from bridge_jax.checkpoint import weights_file
from bridge_jax.core.errors import BridgeError


@pytest.fixture
def copy(folder, tmp_path):
    """copy(keep): the saved model with the tensors that `keep(name)` is true of."""

    def make(keep):
        tensors = load_file(folder / weights_file.WEIGHTS)
        kept = {name: array for name, array in tensors.items() if keep(name)}
        save_file(kept, tmp_path / weights_file.WEIGHTS)
        config = (folder / weights_file.CONFIG).read_text()
        (tmp_path / weights_file.CONFIG).write_text(config)
        return tmp_path

    return make


def test_the_package_is_cheap_to_import():
    code = "import sys, bridge_jax; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_language_model_alone_talks_and_cannot_draw(copy, pictures):
    model = bridge_jax.load(copy(lambda name: name.startswith("vlm/")))
    words = "cannot draw: it lacks projector, aligner, mt5, bert, dit, vae .* only vlm"
    with pytest.raises(BridgeError, match=words):
        model.generate(["a red circle"])
    with pytest.raises(BridgeError, match="cannot edit"):
        model.edit(pictures[:1], ["remove it"])
    with pytest.raises(BridgeError, match="cannot embed"):
        model.embed(texts=["a"])


def test_half_a_part_is_refused(copy):
    path = copy(lambda name: name.startswith("vlm/llm/"))
    with pytest.raises(BridgeError, match=r"config describes: vlm: missing") as raised:
        bridge_jax.load(path)
    assert "\n" not in str(raised.value)


def test_weights_of_another_shape_are_refused(copy):
    path = copy(lambda name: name.startswith("projector/"))
    config = json.loads((path / weights_file.CONFIG).read_text())
    config["model"]["projector"]["hidden"] += 1
    (path / weights_file.CONFIG).write_text(json.dumps(config))
    with pytest.raises(
        BridgeError, match=r"projector/dense/kernel is \[64, 32\], wanted \[65, 32\]"
    ):
        bridge_jax.load(path)


def test_dtype_is_a_choice(copy):
    path = copy(lambda name: name.startswith("projector/"))
    assert (
        bridge_jax.load(path).params["projector"]["dense"]["kernel"].dtype == np.float32
    )
    half = bridge_jax.load(path, dtype="bfloat16")
    assert half.params["projector"]["dense"]["kernel"].dtype == "bfloat16"
    assert half.engine.bundle["projector"].config.dtype == "bfloat16"


def test_bad_places(tmp_path, copy):
    with pytest.raises(BridgeError, match="no weights"):
        bridge_jax.load(tmp_path / "nowhere")
    path = copy(lambda name: name.startswith("projector/"))
    (path / weights_file.CONFIG).write_text("{}")
    with pytest.raises(BridgeError, match="describes no model"):
        bridge_jax.load(path)
    (path / weights_file.WEIGHTS).write_bytes(b"")
    (path / weights_file.CONFIG).write_text('{"model": {}}')
    with pytest.raises(BridgeError, match="safetensors"):
        bridge_jax.load(path)


def test_a_mesh_is_over_the_devices_that_are_given(copy):
    path = copy(lambda name: name.startswith("projector/"))
    some = jax.devices()[2:6]
    model = bridge_jax.load(path, {"data": 2, "fsdp": -1}, devices=some)
    assert model.engine.parts == 4
    leaves = jax.tree.leaves(model.params)
    assert {one for leaf in leaves for one in leaf.devices()} == set(some)


def test_matrices_of_the_language_model_in_8_bits(copy):
    """A quarter of the room, and nearly the same scores."""
    path = copy(lambda name: name.startswith(("vlm/", "projector/")))
    plain = bridge_jax.load(path)
    small = bridge_jax.load(path, quantize="int8")
    llm = small.params["vlm"]["llm"]
    kernel = llm["layers_0"]["mlp"]["gate"]["kernel"]
    assert kernel.dtype == llm["embed_tokens"]["embedding"].dtype == np.int8
    leaves = jax.tree.leaves(small.params["vlm"]["vision"])
    assert {leaf.dtype for leaf in leaves} == {np.dtype(np.float32)}
    before, after = plain.parameter_bytes, small.parameter_bytes
    assert before["projector"] == after["projector"]
    assert before["vlm"] == sum(a.nbytes for a in jax.tree.leaves(plain.params["vlm"]))
    words = sum(a.nbytes for a in jax.tree.leaves(plain.params["vlm"]["llm"]))
    assert before["vlm"] - after["vlm"] > 0.7 * words
    ids = np.arange(40, dtype=np.int32)[None]

    @jax.jit
    def scores(params):
        positions = np.broadcast_to(ids, (3, 1, 40))
        given = params, ids, positions, np.ones_like(ids)
        hidden, _ = plain.engine.bundle.apply("vlm", *given)
        return plain.engine.bundle.apply("vlm", params, hidden, method="logits")

    one, other = scores(plain.params), scores(small.params)
    assert 0 < np.abs(one - other).max() < 0.05 * np.abs(one).max()
    again = small.with_params(small.params)
    assert again.parameter_bytes == after
    with pytest.raises(BridgeError, match="'int4' is neither None nor 'int8'"):
        bridge_jax.load(path, quantize="int4")
