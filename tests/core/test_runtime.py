"""What an entry point sets for its process, and what it leaves to the user."""

import jax
import pytest

from bridge_jax.core import runtime


@pytest.fixture
def shortest():
    """Reads which programs the cache keeps, in seconds; put back afterwards."""
    name = runtime.SHORTEST.lower()
    before = getattr(jax.config, name)
    yield lambda: getattr(jax.config, name)
    jax.config.update(name, before)


def test_the_users_limit_of_the_cache_holds(shortest):
    cache = {"BRIDGE_JAX_CACHE": jax.config.jax_compilation_cache_dir}
    assert shortest() == 0.0  # as tests/conftest.py has it
    runtime.start(cache | {runtime.SHORTEST: "0"})
    assert shortest() == 0.0
    runtime.start(cache)
    assert shortest() == 0.5
