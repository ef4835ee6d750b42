"""The page and the table: everything inside, nothing from outside."""

import html.parser
import json

import numpy as np
import oracle
import pytest

from bridge_jax.eval import pictures, run
from bridge_jax.eval.options import Options
from bridge_jax.eval.pages import curves, first_look, report, summary

TASKS = ("vqa", "generation", "editing", "retrieval")
SMALL = {
    "questions": 16,
    "prompts_per_tag": 2,
    "images_per_prompt": 4,
    "edits": 12,
    "scenes": 20,
}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """(page, figures) of a report on noise and truth."""
    home = tmp_path_factory.mktemp("report")
    folders = {"untrained": home / "noise", "shipped": home / "truth"}
    models = (oracle.Noise(), oracle.Oracle())
    for model, folder in zip(models, folders.values(), strict=True):
        run.evaluate(model, TASKS, "test", folder, **SMALL)
    workdir = home / "stage1"
    workdir.mkdir()
    windows = [
        {"step": s, "loss": 3 / s, "sft": 2 / s, "seconds": 1.0, "learning_rate": 1e-3}
        for s in range(10, 100, 10)
    ]
    lines = "".join(json.dumps(window) + "\n" for window in windows)
    (workdir / "metrics.jsonl").write_text(lines)
    figures = report.write(home / "report.html", folders, {"stage 1": workdir})
    return (home / "report.html").read_text(), figures


class Page(html.parser.HTMLParser):
    """Counts elements, checks nesting, and collects what is fetched."""

    VOID = ("meta", "img", "line", "polyline", "circle")

    def __init__(self, text):
        super().__init__()
        self.open, self.counts, self.sources = [], {}, []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.counts[tag] = self.counts.get(tag, 0) + 1
        self.sources += [v for k, v in attributes if k in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attributes):
        self.counts[tag] = self.counts.get(tag, 0) + 1


def test_page_stands_alone(written):
    text, _ = written
    page = Page(text)
    assert page.open == []
    assert page.counts["svg"] == 2 and page.counts["img"] > 100
    assert all(source.startswith("data:image/png;base64,") for source in page.sources)
    for outside in ("http:", "https:", "<script", "@import", "url("):
        assert outside not in text


def test_page_shows_every_section(written):
    text, _ = written
    for word in ("Training, stage 1", "Drawing", "Editing", "Answering", "Finding"):
        assert f"<h2>{word}</h2>" in text
    assert "≥ 0.97" in text and "✓" in text and "✗" in text


def test_words_of_a_model_stay_words(written):
    text, _ = written
    assert "perhaps &lt;b&gt;" in text and "perhaps <b>" not in text


def test_figures_are_merged(written):
    _, figures = written
    assert figures["untrained/vqa/exact_match"] == 0.0
    assert figures["shipped/generation/queries/mean"] == 1.0
    assert set(figures["settings"]) == {"untrained", "shipped"}


def test_table_for_the_terminal():
    settings = {"settings": {"split": "heldout"}}
    results = {
        "trained": {"vqa/exact_match": 0.5} | settings,
        "shipped": {
            "vqa/exact_match": 0.9,
            summary.QUERIES: 0.8,
            summary.TEXT: 1.0,
        }
        | settings,
    }
    lines = summary.table(results).splitlines()
    assert lines[0].split() == ["trained", "shipped", "target", "(shipped)"]
    assert lines[1].split() == ["questions", "answered", "0.500", "0.900", ">=", "0.93"]
    assert lines[-1].split()[-3:] == ["0.800", ">=", "0.95"]
    assert len(lines) == 5


def test_curves_hold_their_points():
    drawn = curves.chart("a<b", [1, 2, 3], [0.5, float("nan"), 0.25])
    assert "a&lt;b" in drawn and "0.5 → 0.25" in drawn
    assert drawn.count(",") == 2  # two points
    assert curves.chart("none", [1], [float("nan")]) == ""
    assert "polyline" in curves.chart("flat", [5], [2.0])


def test_ticks_enclose_the_values():
    for values in ([0.1, 0.9], [3.0], [1e-6, 3e-6], [-5.0, 2000.0]):
        ticks = curves._ticks(values)
        assert ticks[0] <= min(values) and ticks[-1] >= max(values)
        assert 2 <= len(ticks) <= 7


def test_grid_keeps_pixels():
    shown = oracle.noise(0, 3)
    sheet = pictures.grid(shown, columns=2, gap=1)
    assert sheet.shape == (129, 129, 3)
    np.testing.assert_array_equal(sheet[:64, 65:], shown[1])
    np.testing.assert_array_equal(sheet[65:, :64], shown[2])
    assert (sheet[64] == 255).all() and (sheet[65:, 65:] == 255).all()


def test_first_look_is_a_sheet(tmp_path):
    first_look.save(oracle.Noise(), tmp_path / "look.png", options=Options(steps=2))
    assert (tmp_path / "look.png").stat().st_size > 10_000
