"""No test leaves an index in the home of whoever runs it."""

import pytest


@pytest.fixture(autouse=True)
def index_folder(tmp_path_factory, monkeypatch):
    """Where indexes are kept."""
    folder = tmp_path_factory.mktemp("index")
    monkeypatch.setenv("BRIDGE_JAX_INDEX", str(folder))
    return folder
