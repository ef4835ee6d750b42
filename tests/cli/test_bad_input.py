"""Every mistake: one clear line, exit code 2, and nothing overwritten or lost."""

import json
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import tiny_model
from PIL import Image

ROOT = Path(__file__).parents[2]


def picture(path: Path, side: int = 64) -> Path:
    pixels = np.random.default_rng(0).integers(0, 255, (side, side, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def bomb(path: Path) -> Path:
    """A PNG of a few bytes that says it is 60000 x 60000."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(64)))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b""))
    return path


def truncated(path: Path) -> Path:
    data = picture(path).read_bytes()
    path.write_bytes(data[: len(data) // 2])
    return path


def empty(path: Path) -> Path:
    path.touch()
    return path


def text(path: Path) -> Path:
    path.write_text("no picture")
    return path


BAD_PICTURES = {
    "missing": (lambda path: path, "no such file"),
    "empty": (empty, "empty"),
    "truncated": (truncated, "cut short"),
    "huge": (bomb, "pixels"),
    "text": (text, "not a readable picture"),
}


@pytest.fixture(params=BAD_PICTURES)
def bad_picture(request, tmp_path):
    make, reason = BAD_PICTURES[request.param]
    return make(tmp_path / "bad.png"), reason


def test_chat_refuses_bad_pictures(refused, bad_picture):
    path, reason = bad_picture
    line = refused("chat", path, "what is this?")
    assert reason in line and "bad.png" in line


def test_edit_refuses_bad_pictures(refused, bad_picture):
    path, reason = bad_picture
    line = refused("edit", path, "make it red", "-o", "out.png")
    assert reason in line and not Path("out.png").exists()


def test_embed_names_every_bad_picture_at_once(refused, tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name, make in (("a.png", empty), ("b.png", picture), ("c.png", truncated)):
        make(folder / name)
    line = refused("embed", folder, "-o", "index")
    assert "a.png" in line and "c.png" in line and "b.png" not in line
    assert not Path("index").exists()


def test_embed_refuses_what_holds_no_picture(refused, tmp_path):
    (tmp_path / "none").mkdir()
    assert "no picture" in refused("embed", "none", "-o", "index")
    assert "missing.png" in refused("embed", "missing.png", "-o", "index")


def test_search_refuses_what_is_no_index(refused, tmp_path):
    assert "no index" in refused("search", "nowhere", "a circle")
    (tmp_path / "folder").mkdir()
    assert "no index" in refused("search", "folder", "a circle")
    assert "no such file" in refused("search", "folder", "missing.png")


@pytest.mark.parametrize("prompt", ["", "   "])
def test_empty_prompts(refused, tmp_path, prompt):
    picture(tmp_path / "in.png")
    refused("generate", prompt, "-o", "out.png")
    refused("edit", "in.png", prompt, "-o", "out.png")
    refused("chat", prompt)
    assert not Path("out.png").exists()


def test_sizes_and_negatives_that_cannot_be(refused):
    asked = ("generate", "a circle", "-o", "out.png")
    line = refused(*asked, "--size", "60x64", "--guidance", "1", "--negative", "a")
    assert "guidance other than 1" in line
    assert "multiples of 16 from 16 to 256" in refused(*asked, "--size", "60x64")
    assert "2 were given for 1" in refused(*asked, "--negative", "a", "--negative", "b")
    assert not Path("out.png").exists()


def test_prompts_longer_than_the_context(refused):
    long = "a red circle and " * 400
    refused("generate", long, "-o", "out.png")
    refused("generate", long, "--no-rewrite", "-o", "out.png")
    refused("chat", long)


def test_a_picture_in_place_of_the_question(refused, tmp_path):
    assert "question" in refused("chat", picture(tmp_path / "a.png"))


def test_nothing_is_overwritten(refused, tmp_path):
    before = picture(tmp_path / "out.png").read_bytes()
    assert "--force" in refused("generate", "a circle", "-o", "out.png")
    assert (tmp_path / "out.png").read_bytes() == before
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("mine")
    picture(tmp_path / "a.png")
    assert "other things" in refused("embed", "a.png", "-o", "notes")


@pytest.mark.parametrize("out", ["nowhere/out.png", "out.xyz", "file/out.png"])
def test_places_that_cannot_be_written(refused, tmp_path, out):
    (tmp_path / "file").touch()
    refused("generate", "a circle", "-o", out)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_folders_without_permission(refused, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    assert "written" in refused("generate", "a circle", "-o", "locked/out.png")


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["genrate", "a circle"],
        ["generate", "a circle"],
        ["generate", "a circle", "-o", "out.png", "--steps", "0"],
        ["generate", "a circle", "-o", "out.png", "--seed", "-1"],
        ["generate", "a circle", "-o", "out.png", "--guidance", "nan"],
        ["generate", "a circle", "-o", "out.png", "--sampler", "euler"],
        ["generate", "a circle", "-o", "out.png", "--config.seed=1"],
        ["generate", "a circle", "-o", "out.png", "--size", "64"],
        ["generate", "a circle", "-o", "out.png", "--size", "source"],
        ["generate", "a circle", "-o", "out.png", "--strength", "0.5"],
        ["edit", "a.png", "b", "-o", "out.png", "--strength", "1.5"],
        ["generate", "a circle", "-o", "out.png", "--model", "shapes-tyni"],
        ["chat"],
        ["evaluate", "--out", "out", "--tasks", "vqq"],
        ["evaluate", "--out", "out", "--split", "training"],
        ["evaluate", "--out", "out", "--chains", "0"],
        ["evaluate", "--out", "out", "--only", "score"],
        ["evaluate", "--out", "out", "--benchmark", "geneval"],
        ["evaluate", "--out", "out", "--benchmark", "genevall=README.md"],
        ["evaluate", "--out", "out", "--benchmark", "geneval=nowhere.jsonl"],
        ["evaluate"],
        ["train", "--config", "configs/shapes_stage1.py"],
        ["train", "--config", "configs/shapes_stage9.py", "--workdir", "run"],
        ["train", "--config", "configs/shapes_stage1.py:huge", "--workdir", "run"],
        ["pretrain", "--config", "configs/shapes_stage1.py", "--workdir", "run"],
        ["assemble", "out"],
        ["assemble", "out", "--part", "dit"],
        ["assemble", "out", "--part", "dit=nowhere"],
        ["ckpt", "verify", "nowhere"],
        ["ckpt", "list", "."],
        ["ckpt", "repair", "."],
        ["export", "flax", "nowhere", "out"],
        ["export", "bert", "nowhere", "out"],
        ["import", "bert", "nowhere", "out"],
    ],
    ids=" ".join,
)
def test_arguments(refused, argv):
    refused(*argv)
    assert not Path("out").exists() and not Path("run").exists()


def test_flags_of_benchmarks_that_do_not_go_together(refused):
    line = refused(
        *("evaluate", "--out", "out", "--benchmark", "geneval=nowhere.jsonl"),
        *("--tasks", "vqa", "--limit", "3", "--condition", "both", "--shard", "0/2"),
        *("--chains", "4", "--cycles", "2"),
    )
    told = "--tasks", "--limit", "--condition", "--shard", "--chains", "--cycles"
    for flag in told:
        assert flag in line
    assert "--benchmark" in refused("evaluate", "--out", "out", "--scorer", "shapes")


CONFIG = "configs/shapes_pretrain.py:vlm-tiny"


def test_unknown_config_keys_name_the_nearest(refused):
    line = refused(
        *("train", "--config", CONFIG, "--workdir", "run"),
        *("--config.optim.learning_rte=1", "--config.total_step=3"),
    )
    assert "learning_rate" in line and "total_steps" in line
    assert not Path("run").exists()


def test_config_values_of_another_type(refused):
    line = refused(
        *("train", "--config", CONFIG, "--workdir", "run"),
        "--config.total_steps=many",
    )
    assert "total_steps" in line


def test_pictures_of_a_model_that_cannot_draw(refused):
    line = refused(
        *("train", "--config", CONFIG, "--workdir", "run"),
        "--config.pictures_every=2",
    )
    assert "cannot draw" in line


def test_nothing_to_resume(refused):
    line = refused("train", "--config", CONFIG, "--workdir", "missing", "--resume")
    assert "nothing to resume" in line and not Path("missing").exists()


def test_a_used_work_directory_is_left_alone(refused, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "metrics.jsonl").write_text("{}\n")
    line = refused("train", "--config", CONFIG, "--workdir", "run")
    assert "--resume" in line
    assert (tmp_path / "run" / "metrics.jsonl").read_text() == "{}\n"


def test_a_work_directory_that_is_a_file(refused, tmp_path):
    (tmp_path / "run").touch()
    refused("train", "--config", CONFIG, "--workdir", "run")
    refused("train", "--config", CONFIG, "--workdir", "run/below")


def test_weights_of_another_shape(refused, folder):
    line = refused(
        *("train", "--config", CONFIG, "--workdir", "run"),
        *(f"--config.init_from.vlm={folder}:vlm", "--config.model.vlm.ffn_size=64"),
    )
    assert "ffn" in line or "mlp" in line
    assert not Path("run/checkpoints").exists()


def test_damaged_weights(refused, folder, tmp_path):
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_bytes((folder / "config.json").read_bytes())
    data = (folder / "model.safetensors").read_bytes()
    (broken / "model.safetensors").write_bytes(data[: len(data) // 2])
    refused("chat", "hello", "--model", broken)
    refused("export", "flax", broken, "out")
    (broken / "model.safetensors").write_bytes(data)
    (broken / "config.json").write_text("{")
    refused("chat", "hello", "--model", broken)


def test_a_model_without_the_part(refused, tmp_path):
    tiny_model.write(tmp_path / "vae", "vae")
    line = refused("chat", "hello", "--model", "vae")
    assert "vlm" in line


def test_parts_that_do_not_fit_together(refused, folder, tmp_path):
    other = tmp_path / "other"
    tiny_model.write(other, "vae")
    config = json.loads((other / "config.json").read_text())
    config["processor"]["t5_length"] += 1
    (other / "config.json").write_text(json.dumps(config))
    both = ("--part", f"dit={folder}", "--part", f"vae={other}")
    assert "t5_length" in refused("assemble", "out", *both)
    assert "twice" in refused(
        "assemble", "out", "--part", f"dit={folder}", "--part", f"dit={folder}"
    )
    assert "vision" in refused("assemble", "out", "--part", f"vision={folder}")


@pytest.mark.parametrize(
    "argv",
    [
        ["chat", "missing.png", "what is this?", "--model", "nowhere"],
        ["generate", "a circle"],
        ["train", "--config", CONFIG, "--workdir", "run", "--config.sead=1"],
    ],
    ids=lambda argv: argv[0],
)
def test_as_a_process(argv, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "bridge_jax", *argv],
        check=False,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("bridge: ") and done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_who_reads_no_further_ends_a_command_quietly(tmp_path):
    """As in `bridge formats | head -1`."""
    command = subprocess.Popen(
        [sys.executable, "-m", "bridge_jax", "formats"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    command.stdout.close()
    with command.stderr:
        told = command.stderr.read()
    assert (command.wait(300), told) == (141, "")
