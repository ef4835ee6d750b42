"""What the commands leave behind, on a random model."""

import gc
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import miniature
import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from bridge_jax.checkpoint import weights_file
from bridge_jax.cli import main, outputs
from bridge_jax.core import trees
from bridge_jax.core.errors import BridgeError

ROOT = Path(__file__).parents[2]
QUICK = ("--steps", "2")


def test_generate_writes_a_grid_or_a_folder(bridge, tmp_path):
    asked = ("generate", "a red circle", "two stars", "-n", "2", *QUICK)
    code, out, _ = bridge(*asked, "-o", "grid.png")
    assert code == 0 and "a red circle -> " in out
    (tmp_path / "many").mkdir()
    assert bridge(*asked, "-o", "many")[0] == 0
    names = sorted(os.listdir("many"))
    assert names == ["0000.png", "0001.png", "0002.png", "0003.png"]
    with Image.open("grid.png") as sheet, Image.open("many/0001.png") as one:
        assert sheet.size == (132, 132)
        assert np.array_equal(np.asarray(sheet)[:64, 68:], np.asarray(one))
        grid, single = sheet.text, one.text
    # A PNG tells how it was made; a sheet, a line a row where rows differ.
    assert grid["prompt"] == "a red circle\ntwo stars"
    assert (single["prompt"], single["picture"]) == ("a red circle", "2 of 2")
    assert grid["caption"].splitlines()[0] == " ".join(single["caption"].split())
    shared = {"seed": "0", "steps": "2", "sampler": "dpm", "size": "64x64"}
    assert shared.items() <= grid.items() and shared.items() <= single.items()
    assert single["Software"].startswith("bridge_jax ") and "weights" in single


def test_edit_search_and_chat(bridge, tmp_path):
    Image.new("RGB", (64, 64), "red").save("a.png")
    Image.new("RGB", (64, 64), "blue").save("b.png")
    edit = ("edit", "a.png", "make it blue", "--strength", "0.5", "--size", "source")
    assert bridge(*edit, "-o", "c.png", *QUICK)[0] == 0
    with Image.open("c.png") as made:
        assert made.text["instruction"] == "make it blue"
        assert (made.text["strength"], made.text["size"]) == ("0.5", "64x64")
    code, out, _ = bridge("embed", ".", "-o", "index")
    assert code == 0 and out == "3 pictures in index\n"
    code, out, _ = bridge("search", "index", "b.png", "-k", "2")
    lines = [line.split() for line in out.splitlines()]
    assert lines[0] == ["1.0000", "b.png"] and len(lines) == 2
    assert bridge("search", "index", "a blue picture")[1].count("\n") == 3
    # Strings that look like control tokens are text like any other.
    code, _, err = bridge(
        *("chat", "a.png", "b.png", "<|im_end|> <|image_pad|>?"),
        *("--max-new-tokens", "4"),
    )
    assert (code, err) == (0, "")


def test_layouts_of_others_keep_every_tensor(bridge, folder):
    def tensors(where):
        return trees.flatten(weights_file.load(where, dtype=None))

    assert bridge("export", "flax_msgpack", folder, "packed")[0] == 0
    assert bridge("import", "flax_msgpack", "packed", "unpacked")[0] == 0
    code, out, _ = bridge("export", "mt5", folder, "theirs")
    assert code == 0 and "in 1 file(s)" in out and "MB/s" in out
    assert bridge("import", "mt5", "theirs", "ours")[0] == 0
    whole, unpacked, mt5 = (tensors(f) for f in (folder, "unpacked", "ours"))
    assert whole.keys() == unpacked.keys() and mt5.keys() < whole.keys()
    for found in (unpacked, mt5):
        assert all(np.array_equal(found[path], whole[path]) for path in found)


def test_a_layout_is_not_mixed_with_other_choices(refused, folder):
    assert "flax" in refused("export", "mt5", folder, "out", "--dtype", "bfloat16")
    assert "no format 'mt4'" in refused("export", "mt4", folder, "out")
    assert "mt5" in refused("import", "mt5", folder, "out")


def test_weights_of_others_are_replaced_only_by_force(bridge, refused, folder):
    assert bridge("export", "mt5", folder, "theirs")[0] == 0
    assert "--force" in refused("export", "mt5", folder, "theirs")
    assert bridge("export", "mt5", folder, "theirs", "--force")[0] == 0
    assert "name another folder" in refused(
        "import", "mt5", "theirs", "theirs", "--force"
    )
    assert "--force" in refused("import", "mt5", "theirs", "theirs")
    assert bridge("import", "mt5", "theirs", "ours")[0] == 0


def test_export_and_assemble_keep_every_tensor(bridge, folder):
    assert bridge("export", "flax", folder, "copy")[0] == 0
    one, other = (weights_file.load(f, dtype=None) for f in (folder, "copy"))
    one, other = trees.flatten(one), trees.flatten(other)
    assert one.keys() == other.keys()
    assert all(np.array_equal(one[path], other[path]) for path in one)
    code, out, _ = bridge(
        *("assemble", "parts", "--part", f"vlm/llm={folder}", "--part", "vae=copy"),
        *("--dtype", "bfloat16", "--dtype", "vae=float32"),
    )
    assert code == 0 and "vlm, vae" in out
    made = trees.flatten(weights_file.load("parts", dtype=None))
    kinds = {path.split("/")[0]: str(array.dtype) for path, array in made.items()}
    assert kinds == {"vlm": "bfloat16", "vae": "float32"}
    assert not any(path.startswith("vlm/vision") for path in made)
    about = weights_file.read_config("parts")
    assert about["model"].keys() == {"vlm", "vae"}


def test_assemble_onto_keeps_only_what_changed(bridge, folder):
    assert bridge("export", "flax", folder, "all/stage0")[0] == 0
    onto = ("--onto", "stage0", "--part", f"vlm/llm={folder}")
    assert bridge("assemble", "all", *onto)[0] == 0
    alone = load_file("all/model.safetensors")
    assert alone and all(name.startswith("vlm/llm/") for name in alone)
    whole, wanted = (weights_file.load(one, dtype=None) for one in ("all", folder))
    whole, wanted = trees.flatten(whole), trees.flatten(wanted)
    assert whole.keys() == wanted.keys()
    assert all(np.array_equal(whole[path], wanted[path]) for path in wanted)
    code, _, err = bridge("assemble", "lost", "--onto", "nowhere", *onto[2:])
    assert code == 2 and "nowhere" in err and not os.path.exists("lost")


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """A run of processes: one stopped by SIGTERM, and one that ends a step later.

    Gives its folder, the step at which it was stopped, and both exit codes and outputs.
    """
    folder = tmp_path_factory.mktemp("interrupted")
    config = miniature.config("configs/latentumm.py:tiny")
    miniature.file(miniature.started(config, folder / "start"), folder)
    command = [
        *(sys.executable, "-m", "bridge_jax", "train", "--resume", "auto"),
        *("--config", "small.py", "--workdir", "run"),
        *("--simulate", "2"),
        "--config.total_steps=100000",
    ]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with open(folder / "log", "w") as file:
        run = subprocess.Popen(command, cwd=folder, env=environment, stdout=file)
        metrics = folder / "run" / "metrics.jsonl"
        deadline = time.monotonic() + 300
        while not (metrics.exists() and metrics.read_text()):
            assert run.poll() is None and time.monotonic() < deadline
            time.sleep(0.2)
        run.terminate()
        first = run.wait(timeout=120), (folder / "log").read_text()
    step = max(int(p.name) for p in (folder / "run" / "checkpoints").iterdir())
    command[-1] = f"--config.total_steps={step + 1}"
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return folder / "run", step, first, (done.returncode, done.stdout + done.stderr)


def test_ckpt_tells_whole_from_damaged(bridge, interrupted):
    folder, stopped, *_ = interrupted
    shutil.copytree(folder, "run")
    last = stopped + 1
    code, out, _ = bridge("ckpt", "list", "run")
    assert code == 0 and out.splitlines()[-1].split()[0] == f"{last}"
    assert out.splitlines()[-1].endswith("complete")
    assert bridge("ckpt", "verify", "run")[1].splitlines()[-1] == f"step {last}: whole"
    target = max(Path(f"run/checkpoints/{last}").rglob("d/*"), key=os.path.getsize)
    target.write_bytes(target.read_bytes()[:-1])
    with pytest.raises(SystemExit) as stopped:
        bridge("ckpt", "verify", "run")
    assert stopped.value.code == 1
    code, _, err = bridge("export", "flax", "run", "out", "--step", f"{last}")
    assert code == 2 and "damaged" in err and not os.path.exists("out")


def printed(code):
    """By a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout or done.stderr


def test_help_is_quick_and_needs_no_jax():
    code = (
        "import sys, bridge_jax.cli.main as m; m.parser(); print('jax' in sys.modules)"
    )
    assert printed(code) == "False\n"


def test_commands_let_the_collector_run_rarely():
    code = "import gc, bridge_jax.cli.main as m; m.main([]); print(gc.get_threshold())"
    assert printed(code) == f"{gc.get_threshold()}\n"
    assert gc.get_threshold()[0] > 10_000  # as tests/conftest.py lets it, too


@pytest.mark.parametrize("command", ["", *main.COMMANDS])
def test_help(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main.main([*filter(None, [command]), "--help"])
    assert stop.value.code == 0 and "usage: bridge" in capsys.readouterr().out


def test_control_c_is_no_traceback(monkeypatch, capsys):
    def interrupt(args):
        raise KeyboardInterrupt

    monkeypatch.setattr("bridge_jax.cli.chat.run", interrupt)
    assert main.main(["chat", "hello"]) == 130
    assert capsys.readouterr().err.count("\n") == 1


def test_bugs_show_their_traceback(monkeypatch):
    def fail(args):
        raise ZeroDivisionError

    monkeypatch.setattr("bridge_jax.cli.chat.run", fail)
    with pytest.raises(ZeroDivisionError):
        main.main(["chat", "hello"])


def test_a_failed_write_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "out.png"
    path.write_bytes(b"before")

    def fail(self, *args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", fail)
    target = outputs.Pictures(path, 1, force=True)
    with pytest.raises(BridgeError, match="No space left"):
        target.save([np.zeros((1, 8, 8, 3), np.uint8)])
    assert path.read_bytes() == b"before" and os.listdir(tmp_path) == ["out.png"]


def test_train_stops_on_sigterm_and_resumes(interrupted):
    """As a process: exit code 42, the state saved, and a second start goes on."""
    run, step, (code, said), (second, more) = interrupted
    assert code == 42
    assert f"step {step} is saved" in said
    assert json.loads((run / "config.json").read_text())["mesh"]
    assert second == 0, more
    assert f"resumed from step {step}" in more
    assert (run / "weights" / "model.safetensors").is_file()
