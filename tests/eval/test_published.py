"""The table of figures on a page."""

import json

import pytest

from bridge_jax.cli import main
from bridge_jax.core.errors import BridgeError
from bridge_jax.eval.pages import published


def metrics(split, weights="0123456789abcdef", vqa=0.98, best_of=1, think=None):
    asked = {} if think is None else {"options": {"think": think}}
    tasks = {"vqa": asked, "generation": {"options": {"best_of": best_of}}}
    return {
        "vqa/exact_match": vqa,
        "generation/queries/mean": 0.9,
        "generation/text/mean": 0.6,
        "settings": {"split": split, "weights": weights, "tasks": tasks},
    }


def test_a_column_a_split_and_targets_in_brackets():
    text = published.markdown({s: metrics(s) for s in ("test", "heldout")})
    assert "| | test | heldout |" in text
    assert "| questions answered | 0.980 (≥ 0.97) | 0.980 (≥ 0.93) |" in text
    assert "| queries / text | 1.500 (≥ 0.95) | 1.500 (≥ 0.95) |" in text
    assert "edited" not in text and "`0123456789ab`" in text


def test_different_weights_are_refused():
    both = {"test": metrics("test"), "heldout": metrics("heldout", weights="other")}
    with pytest.raises(BridgeError, match="different weights"):
        published.markdown(both)


def test_the_best_of_several_is_said_and_never_beside_plain_figures():
    plain = published.markdown({"test": metrics("test")})
    chosen = published.markdown({"test": metrics("test", best_of=4)})
    assert chosen == f"{plain} Each picture is the best of 4."
    both = {"test": metrics("test"), "heldout": metrics("heldout", best_of=4)}
    with pytest.raises(BridgeError, match="keep the best of 1 and of 4 candidates"):
        published.markdown(both)


def test_thoughts_are_said_and_never_beside_plain_answers():
    plain = published.markdown({"test": metrics("test")})
    assert plain == published.markdown({"test": metrics("test", think=False)})
    thought = published.markdown({"test": metrics("test", think=True)})
    assert thought == f"{plain} Questions were thought about."
    both = {"test": metrics("test", think=True), "heldout": metrics("heldout")}
    with pytest.raises(BridgeError, match="thought about .--think., in others not"):
        published.markdown(both)


def test_other_weights_need_not_reach_what_the_shipped_ones_must():
    table = {"heldout": metrics("heldout") | {"consistency/text_image_text": 0.9}}
    text = published.markdown(table, targets=False)
    assert "| questions answered | 0.980 |" in text and "≥" not in text
    assert "| caption drawn, then said again | 0.900 |" in text
    assert text.endswith("Weights `0123456789ab`.")


def test_the_command_replaces_what_stands_between_the_marks(tmp_path, capsys):
    folder, page = tmp_path / "test", tmp_path / "page.md"
    folder.mkdir()
    (folder / "metrics.json").write_text(json.dumps(metrics("test")))
    page.write_text("above\n<!-- figures -->\nold\n<!-- /figures -->\nbelow\n")
    command = ["figures", str(folder), "--into", str(page)]
    assert main.main(command) == 0
    once = page.read_text()
    assert once.startswith("above\n") and once.endswith("below\n") and "old" not in once
    assert main.main(command) == 0 and page.read_text() == once
    page.write_text("<!-- other -->\n<!-- /other -->\n")
    assert main.main([*command, "--mark", "other"]) == 0
    assert "questions answered" in page.read_text()
    assert main.main([*command, "--mark", "other", "--plain"]) == 0
    assert "brackets" not in page.read_text()
    page.write_text("no marks")
    assert main.main(command) == 2 and page.read_text() == "no marks"
    assert "needs the marks" in capsys.readouterr().err
    assert main.main([*command[:2], "--mark", "other"]) == 2
    assert "give the page with --into" in capsys.readouterr().err
