"""The report's examples: one row for each item, one column for each model."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from bridge_jax.data import shapes_world
from bridge_jax.data.shapes import edits as edits_lib
from bridge_jax.data.shapes import prompts as prompts_lib
from bridge_jax.eval import pictures, records
from bridge_jax.eval.pages import page

Evaluations = Mapping[str, Path]
T = TypeVar("T")

PER_TAG = 2  # prompts shown for each of GenEval's tags
PER_KIND = 2  # edits shown for each kind
PER_QUESTION = 1  # questions shown of each kind
SEARCHES = 6


def drawings(evaluations: Evaluations) -> str:
    """Prompt -> pictures: text conditioning beside learned queries, model by model."""
    columns = {
        f"{name}, {label}": folder / "generation" / condition
        for name, folder in evaluations.items()
        for condition, label in (("text", "text"), ("queries", "queries"))
    }
    scores = _read(columns, "scores.jsonl")
    if not scores:
        return ""
    by_place = {name: _by(rows, _prompt_folder) for name, rows in scores.items()}
    places = next(reversed(by_place.values()))
    chosen = _first(places, lambda p: places[p][0]["tag"], prompts_lib.TAGS, PER_TAG)
    rows = []
    for place in chosen:
        folder = columns[next(reversed(by_place))] / place
        prompt = records.read_lines(folder / "metadata.jsonl")[0]
        words = page.text(prompt["prompt"]) + page.faint(prompt["tag"])
        cells = [page.cell(words, "prompt")]
        for name, found in by_place.items():
            cells.append(page.cell(_drawn(columns[name] / place, found.get(place, []))))
        rows.append(cells)
    note = (
        "Text: the decoder reads mT5. Queries: it reads the aligner alone, through"
        " learned queries. Below them the caption that the model rewrote the prompt to."
    )
    return page.section("Drawing", note, page.table(["prompt", *by_place], rows))


def _prompt_folder(score: Mapping[str, Any]) -> str:
    return score["image"].split("/")[0]


def _drawn(place: Path, scores: Sequence[Mapping[str, Any]]) -> str:
    shown = [
        page.picture(place.parent / score["image"], 60, score["correct"])
        for score in scores
    ]
    about = place / "drawing.json"
    caption = records.read_json(about)["caption"] if about.is_file() else ""
    return page.pictures(shown, "four") + page.faint(caption)


def edits(evaluations: Evaluations) -> str:
    """Before, wanted and after, with the instruction."""
    columns = {name: folder / "editing" for name, folder in evaluations.items()}
    scores = _read(columns, "scores.jsonl")
    if not scores:
        return ""
    by_place = {name: {s["folder"]: s for s in found} for name, found in scores.items()}
    last = next(reversed(by_place))
    places = by_place[last]
    chosen = _first(places, lambda p: places[p]["kind"], edits_lib.KINDS, PER_KIND)
    rows = []
    for place in chosen:
        folder = columns[last] / place
        asked = records.read_lines(folder / "metadata.jsonl")[0]
        words = page.text(asked["instruction"]) + page.faint(asked["kind"])
        target = records.read_json(folder / "target_scene.json")
        wanted = shapes_world.render(shapes_world.Scene.from_json(target))
        cells = [
            page.cell(words, "prompt"),
            page.cell(page.picture(folder / "source.png", 88)),
            page.cell(page.picture(pictures.png(wanted), 88)),
        ]
        for name, found in by_place.items():
            cells.append(page.cell(_edited(columns[name] / place, found.get(place))))
        rows.append(cells)
    note = (
        "Right is a picture that shows exactly the wanted scene, nothing else changed."
    )
    head = ["instruction", "before", "wanted", *by_place]
    return page.section("Editing", note, page.table(head, rows))


def _edited(place: Path, score: Mapping[str, Any] | None) -> str:
    if score is None:
        return "–"
    caption = records.read_json(place / "edit.json")["caption"]
    sample = page.picture(place / "samples" / "0000.png", 88, score["success"])
    return page.pictures([sample]) + page.faint(caption)


def questions(evaluations: Evaluations) -> str:
    """Picture, question, and each model's answer."""
    columns = {name: folder / "vqa" for name, folder in evaluations.items()}
    answers = _read(columns, "answers.jsonl")
    if not answers:
        return ""
    last = next(reversed(answers))
    asked = answers[last]
    kinds = sorted({one["kind"] for one in asked})
    chosen = _first(range(len(asked)), lambda i: asked[i]["kind"], kinds, PER_QUESTION)
    rows = []
    for index in chosen:
        one = asked[index]
        cells = [
            page.cell(page.picture(columns[last] / one["picture"], 72)),
            page.cell(page.text(one["question"]) + page.faint(one["kind"]), "prompt"),
            page.cell(page.text(one["answer"])),
        ]
        for found in answers.values():
            given = found[index] if index < len(found) else None
            if given is None or given["question"] != one["question"]:
                cells.append(page.cell("–"))
            else:
                words = given.get("said", given["given"])
                cells.append(
                    page.cell(f"{page.mark(given['correct'])} {page.text(words)}")
                )
        rows.append(cells)
    head = ["picture", "question", "right answer", *answers]
    note = (
        "An answer counts if it, or what it concludes after a colon, is the right one"
        " word for word."
    )
    return page.section("Answering", note, page.table(head, rows))


def searches(evaluations: Evaluations) -> str:
    """Text -> nearest pictures; picture -> nearest captions."""
    columns = {name: folder / "retrieval" for name, folder in evaluations.items()}
    found = _read(columns, "found.jsonl")
    if not found:
        return ""
    last = next(reversed(found))
    items = found[last]
    chosen = range(min(SEARCHES, len(items)))
    by_text = [
        [page.cell(page.text(items[i]["caption"]), "prompt")]
        + [page.cell(_near(columns[name], rows, i)) for name, rows in found.items()]
        for i in chosen
    ]
    by_picture = [
        [page.cell(page.picture(columns[last] / f"pictures/{i:05}.png", 72))]
        + [page.cell(_said(rows, i)) for rows in found.values()]
        for i in chosen
    ]
    note = (
        f"Among {len(items)} scenes that all differ; the nearest first, framed or"
        " marked where it is the right one."
    )
    return page.section(
        "Finding",
        note,
        page.table(["text", *(f"{name}: pictures" for name in found)], by_text),
        "<h3>The other way round</h3>",
        page.table(["picture", *(f"{name}: captions" for name in found)], by_picture),
    )


def _near(folder: Path, rows: Sequence[Mapping[str, Any]], index: int) -> str:
    if index >= len(rows):
        return "–"
    caption = rows[index]["caption"]
    shown = [
        page.picture(
            folder / f"pictures/{near:05}.png",
            56,
            True if rows[near]["caption"] == caption else None,
        )
        for near in rows[index]["pictures"][:4]
    ]
    return page.pictures(shown)


def _said(rows: Sequence[Mapping[str, Any]], index: int) -> str:
    if index >= len(rows):
        return "–"
    lines = []
    for near in rows[index]["captions"][:3]:
        caption = rows[near]["caption"]
        right = caption == rows[index]["caption"]
        sign = page.mark(True) + " " if right else ""
        lines.append(f'<div class="faint">{sign}{page.text(caption)}</div>')
    return "".join(lines)


def _read(columns: Mapping[str, Path], name: str) -> dict[str, list[dict[str, Any]]]:
    """The records of each column that has any."""
    files = {column: folder / name for column, folder in columns.items()}
    found = {c: records.read_lines(f) for c, f in files.items() if f.is_file()}
    return {column: rows for column, rows in found.items() if rows}


def _by(
    rows: Sequence[dict[str, Any]], key: Callable[[dict[str, Any]], str]
) -> dict[str, list[dict[str, Any]]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups


def _first(
    items: Sequence[T] | Mapping[T, Any],
    kind: Callable[[T], str],
    kinds: Sequence[str],
    count: int,
) -> list[T]:
    """The first `count` items of each kind, kinds in the given order."""
    return [
        item for one in kinds for item in [i for i in items if kind(i) == one][:count]
    ]
