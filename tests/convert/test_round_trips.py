"""Into our layout and back, tensor by tensor, bit for bit."""

import json

import ml_dtypes
import numpy as np
import pytest
import tiny_model
from safetensors.numpy import load_file, save_file

from bridge_jax.checkpoint import weights_file
from bridge_jax.convert import plan, run, tensors
from bridge_jax.core.errors import BridgeError

# format -> the parts of the tiny model that it holds
PARTS = {
    "bert": ("bert",),
    "mt5": ("mt5",),
    "qwen2_vl": ("vlm",),
    "autoencoder_kl": ("vae",),
    "hunyuan_dit_diffusers": ("dit",),
    "omnibridge": ("vlm", "projector", "aligner", "retrieval"),
}


@pytest.fixture(scope="module", params=PARTS)
def released(request, tmp_path_factory):
    """(format, a folder in that layout, in bfloat16 and several shards)."""
    home = tmp_path_factory.mktemp(request.param)
    ours = tiny_model.write(home / "ours", *PARTS[request.param])
    params = weights_file.load(ours, dtype=None)
    about = weights_file.read_config(ours)
    weights_file.save(ours, params, about, dtype="bfloat16")
    run.export(request.param, ours, home / "released", shard_bytes=200_000)
    return request.param, home / "released"


def read_all(folder, base):
    return dict(tensors.open_folder(folder, base))


def assert_same(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name, array in theirs.items():
        assert ours[name].dtype == array.dtype and ours[name].shape == array.shape
        assert ours[name].tobytes() == array.tobytes(), name


def test_there_and_back_is_the_same(released, tmp_path):
    name, folder = released
    run.import_(name, folder, tmp_path / "ours")
    run.export(name, tmp_path / "ours", tmp_path / "again", shard_bytes=10**9)
    base = plan.named(name).BASE
    before, after = read_all(folder, base), read_all(tmp_path / "again", base)
    assert_same(after, before)
    assert {array.dtype for array in before.values()} == {np.dtype(ml_dtypes.bfloat16)}
    told = [
        json.loads((f / "config.json").read_text())
        for f in (folder, tmp_path / "again")
    ]
    assert told[0] == told[1]


def test_ours_and_back_is_the_same(released, tmp_path):
    name, folder = released
    home = folder.parent / "ours"
    run.import_(name, folder, tmp_path / "ours")
    files = [f / weights_file.WEIGHTS for f in (home, tmp_path / "ours")]
    first, second = (load_file(file) for file in files)
    assert_same(second, first)
    described = [
        weights_file.read_config(f)["model"] for f in (home, tmp_path / "ours")
    ]
    for part in described[0]:
        assert described[0][part]["family"] == described[1][part]["family"]


def test_shards_have_an_index_and_one_file_has_none(released, tmp_path):
    name, folder = released
    base = plan.named(name).BASE
    files = sorted(path.name for path in folder.glob("*.safetensors"))
    assert len(files) > 1 and files[0].startswith(f"{base}-00001-of-00")
    index = json.loads((folder / f"{base}.safetensors.index.json").read_text())
    assert set(index["weight_map"].values()) == set(files)
    sizes = sum(array.nbytes for array in read_all(folder, base).values())
    assert index["metadata"]["total_size"] == sizes
    run.import_(name, folder, tmp_path / "ours")
    run.export(name, tmp_path / "ours", tmp_path / "whole")
    left = sorted(path.name for path in (tmp_path / "whole").iterdir())
    assert left == ["config.json", f"{base}.safetensors"]


def test_all_misfits_are_told_at_once(released, tmp_path):
    name, folder = released
    base = plan.named(name).BASE
    whole = read_all(folder, base)
    first, second, third, *_ = whole
    broken = {k: v for k, v in whole.items() if k != first}
    broken[f"{first}x"] = whole[first]
    broken[second] = np.zeros((3, 5, 7), np.float32)
    broken[third] = whole[third].astype(np.int64)
    (tmp_path / "broken").mkdir()
    save_file(broken, tmp_path / "broken" / f"{base}.safetensors")
    (tmp_path / "broken" / "config.json").write_bytes(
        (folder / "config.json").read_bytes()
    )
    with pytest.raises(BridgeError) as told:
        run.import_(name, tmp_path / "broken", tmp_path / "out")
    said = str(told.value)
    assert "4 weight problem(s)" in said
    assert f"missing: {first} (did you mean '{first}x'?)" in said
    assert f"unused: {first}x (did you mean '{first}'?)" in said
    assert f"{second} has shape (3, 5, 7)" in said and f"{third} is I64" in said
    assert not (tmp_path / "out").exists()


def test_an_interruption_leaves_nothing_that_loads(released, tmp_path, monkeypatch):
    name, folder = released
    calls = []
    genuine = plan.read

    def failing(move, source, importing):
        calls.append(move)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return genuine(move, source, importing)

    monkeypatch.setattr(plan, "read", failing)
    with pytest.raises(KeyboardInterrupt):
        run.import_(name, folder, tmp_path / "ours")
    assert len(calls) == 3 and list((tmp_path / "ours").iterdir()) == []
    monkeypatch.setattr(plan, "read", genuine)
    run.import_(name, folder, tmp_path / "ours")
    assert weights_file.read_config(tmp_path / "ours")["source"]["format"] == name


def test_an_interruption_keeps_what_was_there(released, tmp_path, monkeypatch):
    name, folder = released
    out = tmp_path / "out"
    run.import_(name, folder, tmp_path / "ours")
    run.export(name, tmp_path / "ours", out)

    def stop(*_, **__):
        raise KeyboardInterrupt

    for work in (
        lambda: run.import_(name, folder, tmp_path / "ours"),
        lambda: run.export(name, tmp_path / "ours", out, shard_bytes=200_000),
    ):
        kept = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
        with monkeypatch.context() as patched:
            patched.setattr(plan, "read", stop)
            with pytest.raises(KeyboardInterrupt):
                work()
        assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == kept


@pytest.mark.parametrize("first", [200_000, 10**9])
def test_older_shards_do_not_stay_beside_new_ones(released, tmp_path, first):
    name, folder = released
    base, out = plan.named(name).BASE, tmp_path / "out"
    run.import_(name, folder, tmp_path / "ours")
    for shard_bytes in (first, 10**9 + 200_000 - first):
        run.export(name, tmp_path / "ours", out, shard_bytes=shard_bytes)
        assert_same(read_all(out, base), read_all(folder, base))
    whole = out / f"{base}.safetensors"
    assert whole.exists() != bool(list(out.glob(f"{base}-*.safetensors")))
    assert whole.exists() != (out / f"{base}.safetensors.index.json").exists()


def test_what_is_read_is_never_written_over(released, tmp_path):
    name, folder = released
    before = {path: path.read_bytes() for path in folder.iterdir()}
    for work in (run.import_, run.export):
        with pytest.raises(BridgeError, match="name another folder to write"):
            work(name, folder, folder)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_unknown_formats_are_named():
    with pytest.raises(
        BridgeError, match=r"no format 'qwen2vl' .did you mean 'qwen2_vl'"
    ):
        plan.named("qwen2vl")
