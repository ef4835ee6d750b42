"""Understanding: questions about pictures, answered word for word or not."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bridge_jax.data import shapes_world
from bridge_jax.eval import batches, records
from bridge_jax.eval.options import Options
from bridge_jax.eval.system import System

# Room for the longest answer ("bottom right" and the end) in any tokenizer.
LONGEST_ANSWER = 12
LONGEST_THOUGHT = 32  # four places, and room to stray


def evaluate(
    model: System, split: str, folder: Path, options: Options
) -> dict[str, float]:
    """exact_match, and the same for each kind of question.

    Writes pictures/00000.png, ... and answers.jsonl: picture, kind, question, answer
    (the right one), given, correct; and said, the whole answer, where it was to be
    thought about.
    """
    asked = questions(split, options.questions, options.questions_per_picture)
    pictures = {name: picture for name, picture, _ in asked}
    for name, picture in pictures.items():
        records.write_picture(folder / name, picture)
    found = []
    for _, rows, real in batches.batches(asked, options.batch, "questions"):
        answers = ask(
            model,
            [picture for _, picture, _ in rows],
            [question.question for _, _, question in rows],
            options.think,
        )
        for (name, _, question), said in list(zip(rows, answers, strict=True))[:real]:
            found.append(
                {
                    "picture": name,
                    **question.to_json(),
                    **said,
                    "correct": matches(said["given"], question.answer),
                }
            )
    records.write_lines(folder / "answers.jsonl", found)
    kinds = [(record["kind"], record["correct"]) for record in found]
    overall = records.means(("exact_match", right) for _, right in kinds)
    return overall | dict(sorted(records.means(kinds).items()))


def ask(
    model: System,
    pictures: Sequence[np.ndarray],
    questions: Sequence[str],
    think: bool,
    longest: int = LONGEST_ANSWER,
    longest_thought: int = LONGEST_THOUGHT,
) -> list[dict[str, str]]:
    """`given`, the answer that is judged, and, with a thought before it, `said`.

    Args:
      longest: tokens of an answer; with the thought, `longest_thought` more.
    """
    if not think:
        answers = model.chat(pictures, questions, max_new_tokens=longest)
        return [{"given": answer.text} for answer in answers]
    most = longest + longest_thought
    answers = model.chat(pictures, questions, think=True, max_new_tokens=most)
    return [{"given": one.conclusion, "said": one.text} for one in answers]


def questions(
    split: str, count: int, per_picture: int
) -> list[tuple[str, np.ndarray, shapes_world.Question]]:
    """The first `count` (name of the picture's file, picture, question) of a split."""
    asked = []
    for item in shapes_world.Source(split, 0, -(-count // per_picture)):
        name = f"pictures/{item.index:05}.png"
        asked += [(name, item.image, one) for one in item.questions(per_picture)]
    return asked[:count]


def matches(given: str, answer: str) -> bool:
    """Equal but for case and surrounding space."""
    return given.strip().lower() == answer.strip().lower()
