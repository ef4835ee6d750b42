"""`bridge cache`: built, killed, gone on with, shown, verified; and every mistake."""

import os
import re
import signal
import subprocess
import sys

import miniature
import pytest

from bridge_jax.data.cache import origin, records, shards, store

WINDOW, ROWS = 4, 40


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return miniature.stage2_file(tmp_path_factory.mktemp("config"))


def build(config, out, *more):
    sizes = ("--rows", ROWS, "--window", WINDOW, "--batch", WINDOW)
    return ("cache", "build", "--config", config, "--out", out, *sizes, *more)


def contents(out):
    found = {}
    for kind in origin.KINDS:
        held = store.Kind(out, kind)
        for name in held:
            arrays = held.get(name)
            found[kind, name] = {key: one.tobytes() for key, one in arrays.items()}
        held.close()
    return found


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return tmp_path_factory.mktemp("built") / "cache"


@pytest.fixture
def whole(built, bridge, config):
    """A cache of captions and targets, made without interruption."""
    if not built.exists():
        code, out, err = bridge(*build(config, built, "--what", "captions,targets"))
        assert code == 0, err
        assert out.splitlines()[-1] == str(built)
        assert re.search(r"captions: \d+ new", out)
    return built


# A build that sends itself the signal as its third part is whole: from outside one
# would have to look often enough to see it there.
_KILLED = """
import os, sys
from bridge_jax.cli import main
from bridge_jax.data.cache import shards

replace, parts = os.replace, []

def replaced(source, target):
    replace(source, target)
    if str(target).endswith(".names"):
        parts.append(target)
        if len(parts) == 3:
            os.kill(os.getpid(), int(sys.argv[1]))

shards.os.replace = replaced
sys.exit(main.main(sys.argv[2:]))
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_build_that_is_killed_goes_on(whole, bridge, config, tmp_path, number):
    out = tmp_path / "cache"
    words = [str(w) for w in build(config, out, "--what", "captions,targets")]
    total = len(list(whole.glob("*.names")))
    started = subprocess.run(
        [sys.executable, "-c", _KILLED, str(int(number)), *words],
        stdout=subprocess.DEVNULL,
        check=False,
        timeout=240,
    )
    assert started.returncode == (42 if number == signal.SIGTERM else -signal.SIGKILL)
    there = len(list(out.glob("*.names")))
    assert 3 <= there < total  # it was in the middle of it
    before = contents(out)
    code, said, err = bridge(*words)
    assert code == 0, err
    after, want = contents(out), contents(whole)
    assert after == want and before.items() <= after.items()
    new = {kind: int(n) for kind, n in re.findall(r"(?m)^(\w+): (\d+) new$", said)}
    held = {kind: sum(k == kind for k, _ in want) for kind in new}
    assert sum(new.values()) == len(want) - len(before)
    assert all(len(store.Kind(out, kind)) == held[kind] for kind in new)


def test_show_and_verify(whole, bridge):
    code, out, _ = bridge("cache", "show", whole, "-n", "2")
    assert code == 0 and out.count("  ->  ") == 2
    about = store.Store(whole)
    assert f"made by vlm: weights {about.origin.weights['vlm'][:12]}" in out
    assert re.search(rf"captions +{len(about.kind('captions'))} +\d+", out)
    assert "latents" not in out
    code, out, _ = bridge("cache", "verify", whole)
    assert code == 0 and out.startswith(f"{len(contents(whole))} records are whole, 0 ")


def test_damage_is_told(whole, bridge, tmp_path):
    copy = tmp_path / "cache"
    subprocess.run(["cp", "-r", whole, copy], check=True)
    path = copy / "targets-00000.array_record"
    data = bytearray(path.read_bytes())
    held = store.Kind(whole, "targets")
    one = next(iter(held))
    place = data.find(records.pack(one, held.get(one)))
    assert place > 0
    data[place + 200] ^= 1
    path.write_bytes(data)
    names = copy / "captions-00001.names"
    names.write_bytes(names.read_bytes()[:-1])
    with pytest.raises(SystemExit) as stopped:
        bridge("cache", "verify", copy)
    assert stopped.value.code == 1


def test_damage_ends_a_run_with_a_line(whole, refused, config, tmp_path):
    copy = tmp_path / "cache"
    subprocess.run(["cp", "-r", whole, copy], check=True)
    path = shards.find(copy, "captions")[0].with_suffix(shards.RECORDS)
    path.write_bytes(path.read_bytes()[:-65536])
    line = refused(
        "train",
        "--config",
        config,
        "--workdir",
        tmp_path / "work",
        f"--config.cache.folder={copy}",
    )
    assert f"{path} has 65536 bytes instead of 131072" in line
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--what", "latent"), "'latent' (did you mean 'latents'?) is none of"),
        (("--what", ""), "is none of captions"),
        (("--rows", "0"), "not at least 1"),
        (("--window", "x"), "no whole number"),
        (("--shard", "2/2"), "I/N needs 0 <= I < N"),
        (("--shard", "half"), "not of the form I/N"),
        (("--config.init_from.vlm=nowhere",), "no weights 'nowhere'"),
        (("--config.streams.generate.source=shapes_gen",), "shapes_generate"),
        (("--config.cache.folder=x", "--config.cache.read=captons"), "'captions'"),
    ],
)
def test_mistakes(refused, config, tmp_path, words, told):
    out = tmp_path / "out"
    given = build(config, out, *(w for w in words if not w.startswith("--config")))
    over = [w for w in words if w.startswith("--config")]
    assert told in refused(*given, *over)
    assert not out.exists()


def test_what_config_lacks_is_told(refused, config, tmp_path):
    line = refused(
        "cache", "build", "--config", "configs/shapes_stage1.py:tiny",
        "--what", "latents", "--out", tmp_path / "out",
    )  # fmt: skip
    assert "no part vae, which makes latents" in line


def test_folders_that_are_no_cache(refused, config, tmp_path):
    (tmp_path / "notes.txt").touch()
    for action in ("show", "verify"):
        assert "no cache" in refused("cache", action, tmp_path)
        assert "no cache" in refused("cache", action, tmp_path / "nowhere")
    assert "holds other things" in refused(*build(config, tmp_path))
    assert os.listdir(tmp_path) == ["notes.txt"]


def test_another_models_cache_is_left_alone(whole, refused, config, tmp_path):
    before = sorted(path.name for path in whole.iterdir())
    line = refused(
        *build(config, whole, "--what", "targets"), "--config.init_from.mt5="
    )
    assert "is another model's cache: its mt5 has weights" in line
    assert sorted(path.name for path in whole.iterdir()) == before
