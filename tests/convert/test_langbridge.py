"""LangBridge's adapter as it is released: read, refused, and written again."""

from pathlib import Path

import jax.numpy as jnp
import langbridge_models
import numpy as np
import pytest

from bridge_jax.checkpoint import weights_file
from bridge_jax.convert import run
from bridge_jax.core.errors import BridgeError
from bridge_jax.models import build
from bridge_jax.models.langbridge import model as langbridge
from bridge_jax.parity import fixture

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.parity

GOLDEN = Path(__file__).parents[1] / "golden" / "langbridge.npz"
NAME = "mm_projector.bin"


@pytest.fixture(scope="module")
def golden():
    return fixture.read(GOLDEN)


def write(folder, golden, prefix="model.", dtype=torch.float32, leave_out=""):
    """The recorded adapter as LLaVA's trainer saves it."""
    folder.mkdir()
    state = {
        f"{prefix}mm_projector.{name}": torch.from_numpy(array.copy()).to(dtype)
        for name, array in golden.below("w/mm_projector.").items()
        if not leave_out or not name.startswith(leave_out)
    }
    torch.save(state, folder / NAME)
    return state


@pytest.mark.parametrize("prefix", ["model.", "", "base_model.model.model."])
def test_what_is_imported_computes_as_recorded(golden, tmp_path, prefix):
    write(tmp_path / "released", golden, prefix)
    run.import_("langbridge", tmp_path / "released", tmp_path / "ours")
    model = build.build(weights_file.read_config(tmp_path / "ours")["model"])
    params = weights_file.load(tmp_path / "ours")["langbridge"]
    features = jnp.asarray(golden["in/vision_features"])
    module = model.parts["langbridge"].module
    found = module.apply({"params": params}, features)
    mixed = langbridge.mix(found, jnp.asarray(golden["w/mm_vocab_matrix"]))
    np.testing.assert_allclose(found, golden["out/vocab_logits"], atol=1e-4)
    np.testing.assert_allclose(mixed, golden["out/image_features"], atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_there_and_back_is_the_same(golden, tmp_path, dtype):
    before = write(tmp_path / "released", golden, dtype=dtype)
    run.import_("langbridge", tmp_path / "released", tmp_path / "ours")
    run.export("langbridge", tmp_path / "ours", tmp_path / "again")
    after = torch.load(tmp_path / "again" / NAME, weights_only=True)
    assert after.keys() == before.keys()
    for name, tensor in before.items():
        assert after[name].dtype == dtype and torch.equal(after[name], tensor), name


def test_the_adapter_of_a_whole_model_is_written(tmp_path):
    """And the bytes are those that its run starts with again."""
    langbridge_models.write(tmp_path / "model", "adapter-qwen2")
    run.export("langbridge", tmp_path / "model", tmp_path / "released")
    run.import_("langbridge", tmp_path / "released", tmp_path / "ours")
    whole = weights_file.load(tmp_path / "model", prefix="vlm/connector/adapter")
    alone = weights_file.load(tmp_path / "ours", prefix="langbridge")
    assert whole.keys() == alone.keys() == {"inner", "outer", "words"}
    for layer, sides in whole.items():
        for side, array in sides.items():
            np.testing.assert_array_equal(array, alone[layer][side])


def test_an_mlp_connector_is_refused(golden, tmp_path):
    write(tmp_path / "released", golden, leave_out="3.")
    with pytest.raises(BridgeError, match="layers 0, 2 and 3 .an MLP"):
        run.import_("langbridge", tmp_path / "released", tmp_path / "ours")
    assert not (tmp_path / "ours").exists()


def test_a_model_without_an_adapter_is_refused(tmp_path):
    langbridge_models.write(tmp_path / "model", "adapter-qwen2", connector="mlp2x_gelu")
    with pytest.raises(BridgeError, match="no part 'langbridge' to write"):
        run.export("langbridge", tmp_path / "model", tmp_path / "released")
