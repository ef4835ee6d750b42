"""What the README says of the formats is what there is."""

from pathlib import Path

from bridge_jax.convert import catalogue, plan

README = Path(__file__).parents[2] / "README.md"


def test_the_readme_lists_every_format():
    table = catalogue.markdown()
    assert table in README.read_text(), "run: bridge formats --into README.md"
    assert table.count("\n") == 1 + len(plan.names())
