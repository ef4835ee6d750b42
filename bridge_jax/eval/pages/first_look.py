"""A first look at a model: it answers, draws, edits and finds, on one sheet."""

from pathlib import Path

import numpy as np

from bridge_jax.core import log
from bridge_jax.data import shapes_world
from bridge_jax.eval import pictures, records
from bridge_jax.eval.options import Options
from bridge_jax.eval.system import System
from bridge_jax.eval.tasks import editing, understanding

PROMPTS = (
    "a photo of three stars",
    "a photo of a red circle and a blue square",
    "a photo of a ring left of a triangle",
)
SEARCHED = 24  # pictures that the search looks through
WIDTH, ZOOM = 840, 2


def make(model: System, split: str, options: Options) -> np.ndarray:
    """A sheet with every task on it, uint8 [H, W, 3]; answers are also printed."""
    parts = [pictures.label("A first look", WIDTH, 24)]
    tasks = (_answers(model, split), _drawings(model, options))
    tasks += (_edits(model, split, options), _finds(model, split))
    for title, rows in tasks:
        parts += [pictures.label(title, WIDTH, 18), *rows]
    return pictures.frame(pictures.stack(parts))


def save(
    model: System, path: Path, split: str = "test", options: Options | None = None
) -> None:
    """Write the sheet of `make` as a PNG and say where it is."""
    records.write_picture(path, make(model, split, options or Options()))
    log.say(f"a first look is in {path}")


def _answers(model: System, split: str) -> tuple[str, list[np.ndarray]]:
    asked = understanding.questions(split, 6, 2)
    answers = model.chat(
        [picture for _, picture, _ in asked],
        [question.question for _, _, question in asked],
        max_new_tokens=understanding.LONGEST_ANSWER,
    )
    cells = []
    for (_, picture, question), answer in zip(asked, answers, strict=True):
        _say(question.question, answer.text)
        text = f"{question.question}  {answer.text.strip()}"
        cells.append(_cell([picture], text, columns=1))
    return "Answering", [pictures.beside(cells)]


def _drawings(model: System, options: Options) -> tuple[str, list[np.ndarray]]:
    drawings = model.generate(
        list(PROMPTS), images_per_prompt=4, seed=options.seed, **options.sampling
    )
    cells = []
    for drawing in drawings:
        _say(drawing.prompt, drawing.caption)
        cells.append(_cell(drawing.images, drawing.prompt, drawing.caption, columns=2))
    return "Drawing (from learned queries)", [pictures.beside(cells)]


def _edits(model: System, split: str, options: Options) -> tuple[str, list[np.ndarray]]:
    wanted = editing.edits(split, 3)
    sources = [shapes_world.render(edit.source) for edit in wanted]
    instructions = [edit.instruction for edit in wanted]
    made = model.edit(sources, instructions, seed=options.seed, **options.sampling)
    cells = []
    for source, edited in zip(sources, made, strict=True):
        _say(edited.instruction, edited.caption)
        pair = [source, edited.images[0]]
        cells.append(_cell(pair, edited.instruction, edited.caption, columns=2))
    return "Editing (before, after)", [pictures.beside(cells)]


def _finds(model: System, split: str) -> tuple[str, list[np.ndarray]]:
    items = shapes_world.distinct_scenes(split, SEARCHED)
    captions = [item.caption() for item in items[:3]]
    seen = model.embed(images=[item.image for item in items])
    said = model.embed(texts=captions)
    cells = []
    for caption, scores in zip(captions, said @ seen.T, strict=True):
        best = [items[i].image for i in np.argsort(-scores)[:2]]
        cells.append(_cell(best, caption, columns=2))
    return f"Finding (the two nearest of {SEARCHED})", [pictures.beside(cells)]


def _say(asked: str, given: str) -> None:
    shown = "".join(letter for letter in given if letter.isprintable())
    log.say(f"  {asked}  ->  {shown}")


def _cell(
    shown: list[np.ndarray], text: str, below: str = "", columns: int = 1
) -> np.ndarray:
    """Pictures with a line of text under them, and a fainter one under that."""
    picture = pictures.enlarge(pictures.grid(shown, columns), ZOOM)
    width = picture.shape[1]
    parts = [picture, pictures.label(text, width, 13)]
    if below:
        parts.append(pictures.label(below, width, 11, faint=True))
    return pictures.stack(parts, gap=2)
