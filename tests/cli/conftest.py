"""One random model for all tests of commands, loaded once."""

import functools

import miniature
import pytest

import bridge_jax
from bridge_jax.cli import main


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A folder with a whole random model."""
    config = miniature.config("configs/shapes_stage2.py:tiny")
    return miniature.saved(config, tmp_path_factory.mktemp("model") / "random")


@pytest.fixture(scope="session")
def cached_load():
    return functools.cache(bridge_jax.load)


@pytest.fixture
def bridge(monkeypatch, tmp_path, capfd, folder, cached_load):
    """bridge(*argv) -> (exit code, stdout, stderr), run in an empty folder."""
    monkeypatch.setattr(bridge_jax, "load", cached_load)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("bridge_jax.cli.arguments.DEFAULT_MODEL", str(folder))

    def run(*argv):
        capfd.readouterr()
        code = main.main([str(text) for text in argv])
        said = capfd.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
def refused(bridge):
    """refused(*argv) -> the one line that a mistake is told in."""

    def run(*argv):
        code, out, err = bridge(*argv)
        assert code == 2, (out, err)
        assert err.startswith("bridge: ") and err.count("\n") == 1, err
        return err

    return run
