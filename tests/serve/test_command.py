"""`bridge serve`: what it refuses to start with, in one line and before any work."""

import socket

import pytest

import bridge_jax
from bridge_jax.cli import main


@pytest.fixture
def refused(monkeypatch, capsys):
    """refused(*flags) -> the line that is printed; nothing is loaded."""

    def load(*_):
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(bridge_jax, "load", load)
    monkeypatch.delenv("BRIDGE_JAX_TOKEN", raising=False)

    def made(*flags):
        assert main.main(["serve", *flags]) == 2
        told = capsys.readouterr().err
        assert told.startswith("bridge: ") and told.count("\n") == 1
        return told

    return made


def test_others_are_let_in_by_a_token_alone(refused, monkeypatch):
    assert "a token is needed" in refused("--host", "0.0.0.0")
    assert "at least 16" in refused("--host", "0.0.0.0", "--token", "x")
    monkeypatch.setenv("BRIDGE_JAX_TOKEN", "secret")
    told = refused("--host", "0.0.0.0")
    assert "at least 16" in told


def test_flags_that_cannot_be(refused):
    assert "--max-n 0 is not at least 1" in refused("--max-n", "0")
    assert "65535" in refused("--port", "70000")
    assert "no index nowhere" in refused("--index", "nowhere")


def test_a_port_that_is_taken(refused):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        assert f"port {port} (Address already in use)" in refused("--port", port)
    assert "nowhere.invalid" in refused(
        "--host", "nowhere.invalid", "--token", "x" * 16
    )
