"""The words of visual tokens, written where the tokens are."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from bridge_jax.eval import pictures
from bridge_jax.inference.explain import Explanation

CELL = 104  # least pixels a token, across and down; more where words are longer
SIZE = 13
_LINE = 17
_EDGE = 5
_VEIL = 0.72  # of white over the picture, so that words are read


def sheet(explanation: Explanation) -> np.ndarray:
    """uint8 [H, W, 3]: frames beside each other, in each token its words and values."""
    lines = _lines(explanation)
    return pictures.beside(
        [_frame(explanation, lines, number) for number in range(explanation.grid[0])]
    )


def _frame(explanation: Explanation, lines: list[list[str]], number: int) -> np.ndarray:
    _, rows, columns = explanation.grid
    font = ImageFont.load_default(SIZE)
    widest = max(font.getlength(text) for token in lines for text in token)
    side = max(CELL, _LINE * len(lines[0]) + 8, int(widest) + 2 * _EDGE)
    picture = Image.fromarray(explanation.pixels[number])
    picture = picture.resize((columns * side, rows * side), Image.Resampling.NEAREST)
    white = Image.new("RGB", picture.size, pictures.PAPER)
    drawn = Image.blend(picture, white, _VEIL)
    pen = ImageDraw.Draw(drawn)
    for token in range(rows * columns):
        row, column = divmod(token, columns)
        left, upper = column * side, row * side
        box = (left, upper, left + side - 1, upper + side - 1)
        pen.rectangle(box, outline=pictures.FAINT)
        for line, text in enumerate(lines[number * rows * columns + token]):
            where = (left + _EDGE, upper + 4 + line * _LINE)
            ink = pictures.INK if line == 0 else pictures.FAINT
            pen.text(where, text, font=font, fill=ink)
    return np.asarray(drawn)


def _lines(explanation: Explanation) -> list[list[str]]:
    """What is written at each token of all frames."""
    told = zip(explanation.words, explanation.values.tolist(), strict=True)
    return [
        [f"{_shown(word)} {value:.2f}" for word, value in zip(*one, strict=True)]
        for one in told
    ]


def _shown(word: str) -> str:
    """Spaces and line breaks made visible where a word is nothing else."""
    stripped = word.strip()
    return stripped[:10] if stripped else repr(word)
