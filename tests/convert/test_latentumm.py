"""LatentUMM's files, as its scripts write them: read, refused, and written again."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bridge_jax.checkpoint import weights_file
from bridge_jax.cli import main
from bridge_jax.convert import run
from bridge_jax.convert.formats import latentumm
from bridge_jax.core.errors import BridgeError
from bridge_jax.models import build
from bridge_jax.parity import fixture
from bridge_jax.sharding import place

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.parity

GOLDEN = Path(__file__).parents[1] / "golden" / "latentumm.npz"
STAGE1, STAGE2 = latentumm.FILES


@pytest.fixture(scope="module")
def golden():
    return fixture.read(GOLDEN)


@pytest.fixture(params=["eq", "ne"])
def tag(request):
    """Of a model whose generator makes embeddings of pictures, or of another width."""
    return request.param


def tensors(golden, tag, dtype=torch.float32):
    """The recorded model under its own names."""
    arrays = golden.below(f"w/{tag}.")
    return {name: torch.from_numpy(a.copy()).to(dtype) for name, a in arrays.items()}


def released(golden, tag):
    """The config that the original's file has: a width left open is filled in."""
    told = dict(golden.config[tag], dropout=0.1)
    return told | {"output_dim": told["output_dim"] or told["text_dim"]}


def write(folder, state, config, name=STAGE1, **beside):
    folder.mkdir(exist_ok=True)
    args = {"lr": 1e-4, "prompts_path": "prompts.json", "normalize_inputs": False}
    saved = {"model_state_dict": state, "config": config, "args": args, **beside}
    torch.save(saved, folder / name)
    return folder


def computed(golden, tag, folder):
    """What the imported model makes of the recorded embeddings."""
    model = build.build(weights_file.read_config(folder)["model"])
    params = weights_file.load(folder)["latentumm"]
    module = model.parts["latentumm"].module
    pair = [jnp.asarray(golden[f"in/{tag}/{one}_emb"]) for one in ("text", "image")]
    return module.apply({"params": params}, *pair)


def test_what_is_imported_computes_as_recorded(golden, tag, tmp_path):
    folder = write(tmp_path / "umm", tensors(golden, tag), released(golden, tag))
    said = run.import_("latentumm", folder, tmp_path / "ours")
    assert "latentumm" in said and "left out" not in said
    out = computed(golden, tag, tmp_path / "ours")
    names = {
        "text": "z_text",
        "image": "z_image",
        "fused": "z_student",
        "generated": "generated_from_text",
        "again": "z_hat_text",
    }
    for ours, theirs in names.items():
        right = golden[f"out/{tag}/{theirs}"]
        assert np.abs(out[ours] - right).max() <= 1e-4 * np.abs(right).max(), ours


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_there_and_back_is_the_same(golden, tag, tmp_path, dtype):
    state, config = tensors(golden, tag, dtype), released(golden, tag)
    write(tmp_path / "umm", state, config)
    run.import_("latentumm", tmp_path / "umm", tmp_path / "ours")
    run.export("latentumm", tmp_path / "ours", tmp_path / "again")
    found = torch.load(tmp_path / "again" / STAGE1, weights_only=True)
    assert found["config"] == config
    assert found["model_state_dict"].keys() == state.keys()
    for name, tensor in state.items():
        back = found["model_state_dict"][name]
        assert back.dtype == dtype and torch.equal(back, tensor), name
    run.import_("latentumm", tmp_path / "again", tmp_path / "ours2")
    first, second = (tmp_path / one / "model.safetensors" for one in ("ours", "ours2"))
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("prefix", ["", "module.", "backbone.", "module.backbone."])
def test_prefixes_come_off(golden, tag, tmp_path, prefix):
    """Of several devices, and of stage 2; an epoch's file holds the optimiser too."""
    plain, config = tensors(golden, tag), released(golden, tag)
    state = {prefix + name: tensor for name, tensor in plain.items()}
    epoch = {"epoch": 3, "optimizer_state_dict": {"state": {0: torch.ones(2)}}}
    write(tmp_path / "umm", state, config, STAGE2, **epoch)
    write(tmp_path / "plain", plain, config)
    for name in ("umm", "plain"):
        run.import_("latentumm", tmp_path / name, tmp_path / f"our_{name}")
    files = [tmp_path / f"our_{one}" / "model.safetensors" for one in ("umm", "plain")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_plain_state_dict_has_the_releases_heads(golden, tag, tmp_path):
    path = tmp_path / "state.pt"
    torch.save(tensors(golden, tag), path)
    run.import_("latentumm", path, tmp_path / "ours")
    told = weights_file.read_config(tmp_path / "ours")["model"]["latentumm"]
    sizes = released(golden, tag)
    wanted = {o: sizes[t] for o, t in latentumm._FIELDS.items()} | {"heads": 8}
    assert {name: told[name] for name in wanted} == wanted


def test_all_misfits_are_told_at_once(golden, tag, tmp_path):
    state = tensors(golden, tag)
    norm = state.pop("aligner.norm.weight")
    state["aligner.norms.weight"] = norm
    state["aligner.text_proj.weight"] = torch.zeros(3, 5)
    state["generator.net.0.bias"] = torch.zeros(2)
    state["module.aligner.norm.bias"] = norm  # beside the one without a prefix
    folder = write(tmp_path / "umm", state, released(golden, tag))
    with pytest.raises(BridgeError, match=r"5 weight problem") as told:
        run.import_("latentumm", folder, tmp_path / "ours")
    for said in (
        "missing: aligner.norm.weight (did you mean 'aligner.norms.weight'?)",
        "unused: aligner.norms.weight",
        "unused: module.aligner.norm.bias",
        "aligner.text_proj.weight has shape (3, 5)",
        "generator.net.0.bias has shape (2,)",
    ):
        assert said in str(told.value)
    assert not (tmp_path / "ours").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"transformer_layers": 7}, "says 7 layers, and its tensors are of"),
        ({"hidden_dim": 10**12}, "no LatentUMM has hidden_dim 1000000000000"),
        (
            {"transformer_heads": 0, "text_dim": "24", "dropout": -1.0},
            "text_dim '24', transformer_heads 0",
        ),
        ({"transformer_heads": 5}, "cannot be cut into 5 heads"),
        ({"latent_dim": True}, "latent_dim True"),
    ],
)
def test_sizes_that_cannot_be_are_refused(golden, tmp_path, change, said):
    config = released(golden, "eq") | change
    folder = write(tmp_path / "umm", tensors(golden, "eq"), config)
    with pytest.raises(BridgeError, match="stage1|umm") as told:
        run.import_("latentumm", folder, tmp_path / "ours")
    assert all(one in str(told.value) for one in said.split(", "))


def test_other_files_are_refused(golden, tmp_path):
    torch.save({"a": torch.ones(2)}, tmp_path / "other.pt")
    with pytest.raises(BridgeError, match="no LatentUMM checkpoint: it lacks aligner"):
        run.import_("latentumm", tmp_path / "other.pt", tmp_path / "ours")
    with pytest.raises(BridgeError, match=f"has none of {STAGE1}, {STAGE2}"):
        run.import_("latentumm", tmp_path, tmp_path / "ours")
    config = {"config": ["no sizes"]}
    torch.save({"model_state_dict": tensors(golden, "eq"), **config}, tmp_path / "c.pt")
    run.import_("latentumm", tmp_path / "c.pt", tmp_path / "ours")


def test_the_commands_do_it_and_replace_nothing_unasked(golden, tmp_path, capsys):
    write(tmp_path / "umm", tensors(golden, "ne"), released(golden, "ne"))
    umm, ours, out = (str(tmp_path / name) for name in ("umm", "ours", "out"))
    assert main.main(["import", "latentumm", umm, ours]) == 0
    assert main.main(["export", "latentumm", ours, out]) == 0
    assert STAGE1 in capsys.readouterr().out
    assert main.main(["export", "latentumm", ours, out]) == 2
    assert f"holds {STAGE1} already; pass --force" in capsys.readouterr().err
    assert main.main(["export", "latentumm", ours, out, "--force"]) == 0
    told = json.loads((tmp_path / "ours" / "config.json").read_text())
    assert told["source"] == {"format": "latentumm", "config": released(golden, "ne")}


def test_a_model_of_ours_is_written_as_theirs(tmp_path):
    """Trained here, its generator's width left open."""
    sizes = dict(text=6, image=10, latent=4, hidden=8, layers=1, heads=2)
    model = build.build({"latentumm": dict(family="latentumm", **sizes)})
    about = {"model": model.description()}
    params = jax.tree.map(np.asarray, place.unbox(model.init(0)))
    weights_file.save(tmp_path / "ours", params, about)
    run.export("latentumm", tmp_path / "ours", tmp_path / "out")
    told = torch.load(tmp_path / "out" / STAGE1, weights_only=True)["config"]
    assert told["output_dim"] == 10 and told["transformer_heads"] == 2
    run.import_("latentumm", tmp_path / "out", tmp_path / "again")
    first, second = (weights_file.load(tmp_path / one) for one in ("ours", "again"))
    jax.tree.map(np.testing.assert_array_equal, first, second)
