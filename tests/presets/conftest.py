"""The shipped model's promises are kept by the programs that users run."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def promised(optimised):
    pass
