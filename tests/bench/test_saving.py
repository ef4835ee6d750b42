"""The benchmark of saves keeps what it says, and times are no test's business."""

import pytest

from bridge_jax.bench import saving
from bridge_jax.cli import main
from bridge_jax.core.errors import BridgeError


def test_saves_alternate_and_the_first_pair_is_dropped(tmp_path):
    result = saving.measure(tmp_path, gigabytes=1e-4, rounds=2)
    assert result.bytes == pytest.approx(1e5, rel=0.01)
    assert len(result.ours) == len(result.stock) == len(result.hashes) == 2
    assert min(*result.ours, *result.stock) > 0
    assert list(tmp_path.iterdir()) == []


def test_the_ratio_is_of_neighbours():
    result = saving.Result(10**9, (2.0, 3.0, 8.0), (1.0, 3.0, 2.0), (0.1,))
    assert result.ratio == 2.0
    assert "2.000 | allowed 1.10, EXCEEDED" in saving.markdown(result)
    fine = saving.Result(10**9, (1.0,), (1.0,), (0.1,))
    assert "EXCEEDED" not in saving.markdown(fine)


def test_a_folder_in_use_is_kept(tmp_path):
    (tmp_path / "stock").mkdir()
    with pytest.raises(BridgeError, match="would be overwritten"):
        saving.measure(tmp_path, 1e-4, 1)


def test_the_command_writes_its_table(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("<!-- saving -->\n<!-- /saving -->\n")
    words = ["bench", "saving", "--workdir", str(tmp_path / "work")]
    assert main.main([*words, "--gigabytes", "0.0001", "--into", str(page)]) == 0
    assert "| stock Orbax | 0.0 GB |" in page.read_text()
