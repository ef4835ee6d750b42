"""What a program is traced for."""

import types

import jax
import pytest

from bridge_jax.core import hardware


@pytest.mark.parametrize(
    ("backend", "traced_for", "version", "there"),
    [
        ("cpu", "cpu", "<unknown>", False),
        ("gpu", "gpu", "PJRT C API\ncuda 13000", True),
        ("gpu", "gpu", "PJRT C API\nrocm 60400", False),
        ("gpu", "tpu", "PJRT C API\ncuda 13000", False),  # a plan
        ("cpu", "gpu", "<unknown>", False),  # a plan
    ],
)
def test_cudnn_is_where_a_card_of_nvidia_is(
    monkeypatch, backend, traced_for, version, there
):
    client = types.SimpleNamespace(platform_version=version)
    device = types.SimpleNamespace(client=client)
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    monkeypatch.setattr(jax, "devices", lambda: [device])
    monkeypatch.setattr(hardware, "platform", lambda: traced_for)
    assert hardware.has_cudnn() == there
