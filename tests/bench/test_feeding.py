"""The benchmark of reading counts what it says; times are no test's business."""

import dataclasses

import miniature
import pytest

from bridge_jax.bench import feeding
from bridge_jax.cli import main

RESULT = feeding.Result("a.py", 60, (1.0, 2.0, 1.0), (4.0, 4.0, 2.0))


def test_rounds_alternate_and_the_first_is_dropped():
    config = miniature.config("configs/shapes_stage1.py:tiny")
    config.init_from = {"vlm": "runs/that/nobody/made:vlm"}
    result = feeding.measure("tiny", config, rounds=2, batches=1)
    assert result.rows == sum(s.batch for s in config.streams.values())
    assert len(result.reading) == len(result.training) == 2
    assert min(*result.reading, *result.training) > 0


def test_the_table_has_rates_and_the_median_of_ratios():
    assert RESULT.ratio == 2.0
    assert "| a.py | 60 | 15 | 2.0, TOO SLOW |" in feeding.markdown([RESULT])
    fast = dataclasses.replace(RESULT, training=(9.0, 9.0, 9.0))
    assert "| a.py | 60 | 7 | 9.0 |" in feeding.markdown([fast])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["saving"], "bench saving writes big files: give it --workdir"),
        (["caching"], "bench caching writes big files: give it --workdir"),
        (["saving", "--workdir", "x", "--config.seed=1"], "reads no config to set"),
        (["feeding", "--config", "none.py"], "no config file none.py"),
    ],
)
def test_mistakes_are_told(tmp_path, monkeypatch, capsys, words, told):
    monkeypatch.chdir(tmp_path)
    assert main.main(["bench", *words]) == 2
    assert told in capsys.readouterr().err
