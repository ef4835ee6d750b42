"""State dicts of torch: tensors and nothing else, there and back."""

import os

import ml_dtypes
import numpy as np
import pytest
import tiny_model

from bridge_jax.checkpoint import weights_file
from bridge_jax.convert import run, torch_file
from bridge_jax.core.errors import BridgeError

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.parity


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """A folder with pytorch_model_ema.pt, from random weights in bfloat16."""
    home = tmp_path_factory.mktemp("dit")
    ours = tiny_model.write(home / "ours", "dit")
    params = weights_file.load(ours, dtype=None)
    weights_file.save(ours, params, weights_file.read_config(ours), dtype="bfloat16")
    run.export("hunyuan_dit", ours, home / "released")
    return home / "released"


def test_there_and_back_is_the_same(released, tmp_path):
    run.import_("hunyuan_dit", released, tmp_path / "ours")
    run.export("hunyuan_dit", tmp_path / "ours", tmp_path / "again")
    name = "pytorch_model_ema.pt"
    before = torch.load(released / name, weights_only=True)
    after = torch.load(tmp_path / "again" / name, weights_only=True)
    assert before.keys() == after.keys()
    for tensor in before:
        assert before[tensor].dtype == after[tensor].dtype == torch.bfloat16
        assert torch.equal(before[tensor], after[tensor]), tensor
    first = weights_file.load(released.parent / "ours", dtype=None)
    second = weights_file.load(tmp_path / "ours", dtype=None)
    described = weights_file.read_config(tmp_path / "ours")["model"]["dit"]
    assert described["heads"] == 6 and described["depth"] == 6
    np.testing.assert_array_equal(
        first["dit"]["patch_embed"]["kernel"], second["dit"]["patch_embed"]["kernel"]
    )


def test_sizes_need_no_config(released, tmp_path):
    run.import_("hunyuan_dit", released / "pytorch_model_ema.pt", tmp_path / "ours")
    before = weights_file.read_config(released.parent / "ours")["model"]["dit"]
    after = weights_file.read_config(tmp_path / "ours")["model"]["dit"]
    untold = {"pooler_heads", "input_size", "mlp_ratio"}
    assert {k: v for k, v in after.items() if k not in untold} == {
        k: v for k, v in before.items() if k not in untold
    }
    assert int(after["hidden"] * after["mlp_ratio"]) == int(
        before["hidden"] * before["mlp_ratio"]
    )


def test_nested_state_dicts_are_found(tmp_path):
    state = {"module": {"a": torch.ones(3, dtype=torch.bfloat16)}}
    torch.save(state, tmp_path / "x.pt")
    file = torch_file.open_file(tmp_path / "x.pt")
    assert list(file) == ["a"] and file.dtypes["a"] == "BF16"
    assert file["a"].dtype == ml_dtypes.bfloat16


class Evil:
    def __reduce__(self):
        return os.mkdir, (Evil.marker,)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_file_does_not_run(tmp_path, zipped):
    Evil.marker = str(tmp_path / "it ran")
    path = tmp_path / "evil.pt"
    torch.save({"a": Evil()}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(BridgeError, match=r"evil.pt is no file of tensors alone"):
        torch_file.open_file(path)
    assert not (tmp_path / "it ran").exists()


@pytest.mark.parametrize("state", [{}, {"a": 3}, [torch.ones(2)]])
def test_other_contents_are_refused(tmp_path, state):
    torch.save(state, tmp_path / "x.pt")
    with pytest.raises(BridgeError, match=r"no named tensors|are no tensors"):
        torch_file.open_file(tmp_path / "x.pt")


def test_damaged_files_are_refused(tmp_path):
    torch.save({"a": torch.ones(1000)}, tmp_path / "x.pt")
    whole = (tmp_path / "x.pt").read_bytes()
    (tmp_path / "x.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BridgeError, match="no file of tensors alone"):
        torch_file.open_file(tmp_path / "x.pt")
    with pytest.raises(BridgeError, match="does not exist"):
        torch_file.open_file(tmp_path / "y.pt")
