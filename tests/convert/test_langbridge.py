"""LangBridge's adapter as it is released: read, refused, and written again."""

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.parity
