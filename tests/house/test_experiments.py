"""The README's tables of experiments are those of the figures that are kept.

`.experiments/NAME-VARIANT` is of configs/NAME.py:VARIANT, whose mark is NAME:VARIANT.
"""

from pathlib import Path

import pytest

from bridge_jax.core import config as config_lib
from bridge_jax.core import marks
from bridge_jax.lab import experiment as experiment_lib
from bridge_jax.lab import results, table

ROOT = Path(__file__).parents[2]
KEPT = sorted((ROOT / ".experiments").iterdir())
assert KEPT, "no experiment is kept, and none would be checked"


@pytest.mark.parametrize("folder", KEPT, ids=lambda folder: folder.name)
def test_the_readme_shows_what_was_measured(folder):
    name, colon, variant = folder.name.replace("-", ":", 1).partition(":")
    config = config_lib.load(f"configs/{name}.py{colon}{variant}")
    experiment = experiment_lib.load(config)
    found = results.read(experiment, folder)
    told = table.markdown(found, experiment.figures)
    mark = f"{name}{colon}{variant}"
    assert marks.between(ROOT / "README.md", mark).strip() == told.strip()
