"""Questions about pictures from a file of JSON lines.

    {"image": "a.jpg", "question": "What is it?", "answers": ["a cat", "cat"]}
    {"image": "b.jpg", "question": "Which?", "choices": ["red", "blue"], "answer": "B"}

`image` is named from the file's folder; `id` and `kind` are free to be there, and each
kind then has a figure of its own. Judged by a file of `eval/answers`: unless one is
named, multiple_choice where every item has choices, vqa_accuracy where every item has
the ten answers of VQAv2, and exact_match otherwise.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bridge_jax.core import rooms
from bridge_jax.data import faults, fields, thinking
from bridge_jax.data.faults import Faults
from bridge_jax.eval import records
from bridge_jax.eval.answers import multiple_choice
from bridge_jax.eval.options import Options
from bridge_jax.eval.outside import answer_files
from bridge_jax.eval.outside.shards import WHOLE, Shard
from bridge_jax.eval.system import System
from bridge_jax.eval.tasks import understanding

METRICS = "bridge_jax.eval.answers"
SCORES = "scores.jsonl"
LONGEST_ANSWER = 64  # tokens; an answer mostly ends long before
PEOPLE = 10  # answers to a question of VQAv2
_LETTER = "Answer with the option's letter from the given choices directly."


@dataclasses.dataclass(frozen=True)
class Question:
    """One line of the file, at `place`."""

    place: str
    id: str
    image: Path
    question: str
    answers: tuple[str, ...]
    choices: tuple[str, ...]
    kind: str
    key: str

    @property
    def prompt(self) -> str:
        """What the model is asked: the question, with lettered options below it."""
        if not self.choices:
            return self.question
        lettered = zip(multiple_choice.LETTERS, self.choices, strict=False)
        options = [f"{letter}. {choice}" for letter, choice in lettered]
        return "\n".join([self.question, *options, _LETTER])


class Benchmark:
    """See the module's text.

    Raises:
      BridgeError: every line that is not as promised, all at once.
    """

    def __init__(self, data: Path):
        found, data = Faults(), Path(data)
        lines = faults.json_lines(data, found)
        self.items = [_question(r, data.parent, where, found) for where, r in lines]
        seen: dict[str, str] = {}
        for item in self.items:
            if item.id in seen:
                found.add(item.place, f"id {item.id!r} stands in {seen[item.id]} too")
            seen[item.id] = item.place
        found.stop()

    def check(self, scorer: str | None) -> None:
        """Raises BridgeError for no such metric, or with all items it cannot judge."""
        metric, unfit = _metric(scorer or self.metric), Faults()
        for item in self.items:
            lacking = metric.lacks(item.answers, item.choices)
            if lacking:
                unfit.add(item.place, lacking)
        unfit.stop()

    def answer(
        self, model: System, folder: Path, options: Options, shard: Shard = WHOLE
    ) -> None:
        """Ask the model; answers_I_of_N.jsonl holds id, prompt and given.

        A thought stands in `said`, with the conclusion that is given.
        """

        def ask(questions: list[Question]) -> list[dict[str, str]]:
            found = understanding.ask(
                model,
                fields.open_pictures([one.image for one in questions]),
                [one.prompt for one in questions],
                options.think,
                LONGEST_ANSWER,
                thinking.ROOM,
            )
            return [
                {"id": one.id, "prompt": one.prompt, **said}
                for one, said in zip(questions, found, strict=True)
            ]

        answer_files.write(folder, shard, self.items, ask, options.batch, "questions")

    def score(self, folder: Path, scorer: str | None = None) -> dict[str, float]:
        """Mean of the metric, over all items and over each kind; writes scores.jsonl.

        Raises:
          BridgeError: what `check` raises; answers that are missing or doubled.
        """
        self.check(scorer)
        name = scorer or self.metric
        metric = _metric(name)
        found = answer_files.read(folder, self.items)
        scores = [
            metric(record["given"], item.answers, item.choices)
            for item, record in zip(self.items, found, strict=True)
        ]
        records.write_lines(
            folder / SCORES,
            (
                {"id": item.id, "given": record["given"], name: score}
                for item, record, score in zip(self.items, found, scores, strict=True)
            ),
        )
        kinds = [
            (f"{name}/{item.kind}", score)
            for item, score in zip(self.items, scores, strict=True)
            if item.kind
        ]
        figures = records.means((name, score) for score in scores)
        return figures | dict(sorted(records.means(kinds).items()))

    @property
    def metric(self) -> str:
        """What the data is judged by unless a metric is named."""
        if all(item.choices for item in self.items):
            return "multiple_choice"
        if all(len(item.answers) == PEOPLE for item in self.items):
            return "vqa_accuracy"
        return "exact_match"


def _metric(name: str) -> Any:
    return rooms.load(METRICS, name, "Metric", "scorer")()


def _question(
    record: Mapping[str, Any], home: Path, where: str, found: Faults
) -> Question:
    question = fields.word(record, "question", where, found)
    choices = _choices(record, where, found)
    return Question(
        where,
        str(record.get("id", where.rpartition(":")[2])),
        fields.picture(record.get("image"), [home], where, found),
        question,
        _answers(record, where, found),
        choices,
        str(record.get("kind", "")),
        answer_files.key_of(record.get("image"), question, choices),
    )


def _answers(record: Mapping[str, Any], where: str, found: Faults) -> tuple[str, ...]:
    if ("answers" in record) == ("answer" in record):
        found.add(where, "give one of 'answers' and 'answer'")
        return ()
    if "answers" in record:
        return fields.texts(record, "answers", where, found)
    return (fields.word(record, "answer", where, found),)


def _choices(record: Mapping[str, Any], where: str, found: Faults) -> tuple[str, ...]:
    if record.get("choices") is None:
        return ()
    choices = fields.texts(record, "choices", where, found)
    most = len(multiple_choice.LETTERS)
    if choices and not (2 <= len(set(choices)) == len(choices) <= most):
        found.add(where, f"'choices' are not 2 to {most} different texts")
    return choices
