"""The questions of DPG-Bench's dpg_bench.csv, and what their answers are worth.

A row a question, with the columns

    item_id           the prompt, NAME of NAME.txt
    proposition_id    1, 2, ... within the prompt
    dependency        "0" for none, or the questions that must be answered yes: "1,3"
    tuple             "entity - whole (cat)": its category, of two levels, and object

and others for the judge, such as question_natural_language. The first row counts like
all others; the released script passes it over.
"""

import csv
import dataclasses
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bridge_jax.data import faults as faults_lib
from bridge_jax.data.faults import Faults
from bridge_jax.eval.outside.judging import Judgement

FILE = "dpg_bench.csv"
_COLUMNS = ("item_id", "proposition_id", "dependency", "tuple")


@dataclasses.dataclass(frozen=True)
class Question:
    """One row.

    Attributes:
      category: of level 1: entity, attribute, relation, global or other.
      parents: questions that must be answered yes for this one to count.
    """

    number: int
    category: str
    parents: tuple[int, ...]


def read(path: Path, faults: Faults) -> dict[str, list[Question]]:
    """item_id -> its questions, in order; what is wrong goes to `faults`."""
    # In quotes a field may go over several lines.
    rows = csv.DictReader(io.StringIO(faults_lib.text(path).lstrip("\ufeff")))
    missing = [name for name in _COLUMNS if name not in (rows.fieldnames or ())]
    if missing:
        faults.add(f"{path}:1", f"lacks the column {', '.join(missing)}")
        return {}
    found: dict[str, list[Question]] = {}
    try:
        for row in rows:
            _add(row, f"{path}:{rows.line_num}", found, faults)
    except csv.Error as error:
        faults.add(f"{path}:{rows.line_num}", f"is no CSV ({error})")
    return found


def answers(
    judgement: Judgement, asked: Sequence[Question] | None, most: int, faults: Faults
) -> list[dict[int, bool]]:
    """For each picture of a grid: question -> whether it was answered yes."""
    given = judgement.says["answers"]
    if asked is None:
        faults.add(judgement.where, f'"answers" need {FILE} in DATA')
        return []
    numbers = {str(question.number) for question in asked}
    if not (isinstance(given, list) and 1 <= len(given) <= most):
        faults.add(judgement.where, f'"answers" must be a list of 1 to {most} mappings')
        return []
    for number, part in enumerate(given):
        if not isinstance(part, dict) or set(part) != numbers:
            faults.add(
                judgement.where,
                f"answers {number + 1} must have the questions"
                f" {', '.join(sorted(numbers, key=int))}",
            )
        elif not all(isinstance(value, str | bool) for value in part.values()):
            faults.add(judgement.where, f"answers {number + 1} are not all yes or no")
    if faults.lines:
        return []
    return [{int(n): _yes(value) for n, value in part.items()} for part in given]


def share(asked: Sequence[Question], said: Mapping[int, bool]) -> float:
    """The share of questions that count as yes, 0 to 1.

    One whose parent counts as no, is no; in the order of the file, as published. A
    parent that is not asked of this prompt is passed over.
    """
    counted = dict(said)
    for question in asked:
        if not all(counted.get(parent, True) for parent in question.parents):
            counted[question.number] = False
    return sum(counted.values()) / len(counted)


def by_category(
    asked: Sequence[Question], said: Mapping[int, bool]
) -> Iterator[tuple[str, bool]]:
    """(category, answered yes) of each question."""
    return ((question.category, said[question.number]) for question in asked)


def _add(
    row: Mapping[str, Any],
    where: str,
    found: dict[str, list[Question]],
    faults: Faults,
) -> None:
    question = _question(row, where, faults)
    asked = found.setdefault(row["item_id"], [])
    if question is not None and question.number in [one.number for one in asked]:
        faults.add(where, f"{row['item_id']} asks {question.number} a second time")
    elif question is not None:
        asked.append(question)


def _question(row: Mapping[str, Any], where: str, faults: Faults) -> Question | None:
    try:
        number = int(row["proposition_id"])
        parents = tuple(int(parent) for parent in row["dependency"].split(","))
    except (TypeError, ValueError, AttributeError):
        faults.add(where, "'proposition_id' and 'dependency' are not all numbers")
        return None
    category = (row["tuple"] or "").split("(")[0].split("-")[0].strip()
    if not category or not row["item_id"]:
        faults.add(where, "'item_id' or the category in 'tuple' is missing")
        return None
    return Question(number, category, tuple(parent for parent in parents if parent))


def _yes(value: str | bool) -> bool:
    return value if isinstance(value, bool) else value.strip().lower() == "yes"
