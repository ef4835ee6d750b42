"""`bridge serve`: what it refuses to start with, in one line and before any work."""

import socket

import pytest
import stand_in

import bridge_jax
from bridge_jax.cli import main
from bridge_jax.serve import warmup


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


def test_each_kind_of_work_is_done_before_clients_come():
    backend = stand_in.StandIn()
    assert warmup.warm_up(backend) == ["chat", "draw", "edit", "embed"]
    talks, drawings = backend.asked[:2], backend.asked[2:4]
    assert [len(ask.pictures) for ask in talks] == [0, 1]
    assert [wish.picture is None for wish in drawings] == [True, False]
    [texts], [picture] = backend.asked[4]
    assert texts and picture == talks[1].pictures[0]


def test_only_what_the_model_can_do_is_warmed_up():
    backend = stand_in.StandIn()
    backend.tasks = frozenset({"chat"})
    assert warmup.warm_up(backend) == ["chat"] and len(backend.asked) == 2
