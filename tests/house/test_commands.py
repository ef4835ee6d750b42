"""No command that we show may rot: they all parse, and the quick ones run."""

import sys
from pathlib import Path

import miniature
import pytest

from bridge_jax.checkpoint import locate
from bridge_jax.cli import main, resolve
from bridge_jax.core import config as config_lib
from bridge_jax.lab import experiment

sys.path.insert(0, str(Path(__file__).parent))
import documented

COMMANDS = documented.commands()
QUICK = (
    "generate",
    "chat",
    "edit",
    "embed",
    "search",
    "export",
    "import",
    "assemble",
)


def test_commands_are_found():
    assert {words[0] for _, words in COMMANDS} == set(main.COMMANDS)


@pytest.mark.parametrize(
    ("where", "words"), COMMANDS, ids=[" ".join(words) for _, words in COMMANDS]
)
def test_parses(where, words):
    args = main.parse(words)
    if args.command == "ablate":
        if args.config is not None:
            experiment.load(config_lib.load(args.config, args.overrides))
    elif "config" in args:
        specs = args.config if isinstance(args.config, list | tuple) else [args.config]
        for spec in specs:
            if ".py" in spec:  # `data inspect` takes other files, too
                resolve.resolve(spec, args.overrides)


def test_the_readme_shows_scripts_that_exist():
    text = documented.README.read_text()
    for name in ("quickstart", "test", "rebuild_shapes_tiny", "longer"):
        assert f"bash launch/{name}.sh" in text
        assert (documented.ROOT / "launch" / f"{name}.sh").is_file()


def test_the_readmes_quick_commands_run(tmp_path, monkeypatch, capfd):
    """One after another, as a reader would, with random weights as the preset."""
    config = miniature.config("configs/shapes_stage2.py:tiny")
    miniature.saved(config, tmp_path / "presets" / "shapes-tiny")
    monkeypatch.setattr(locate, "PRESETS", tmp_path / "presets")
    monkeypatch.chdir(tmp_path)
    ran = [words for words in documented.of_readme() if words[0] in QUICK]
    for words in ran:
        assert main.main(words) == 0, capfd.readouterr().err
    assert {words[0] for words in ran} == set(QUICK)
    assert (tmp_path / "edited.png").is_file()


def test_the_readmes_overrides_are_keys(monkeypatch):
    """The `--config.a.b=c` of its tables; those of its commands have their configs."""
    text = documented.FENCE.sub("", documented.README.read_text())
    words = text.replace("`", " ").split()
    overrides = [w for w in words if w.startswith("--config.") and "a.b" not in w]
    resolve.resolve("configs/shapes_stage2.py", overrides)
    assert len(overrides) >= 4
