"""The words of visual tokens, written where the tokens are."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from bridge_jax.eval import pictures
from bridge_jax.inference.explain import Explanation

CELL = 104  # least pixels a token, across and down
SIZE = 13
_LINE = 17
_VEIL = 0.72  # of white over the picture, so that words are read


def sheet(explanation: Explanation) -> np.ndarray:
    """uint8 [H, W, 3]: frames beside each other, in each token its words and values."""
    return pictures.beside(
        [_frame(explanation, number) for number in range(explanation.grid[0])]
    )


def _frame(explanation: Explanation, number: int) -> np.ndarray:
    _, rows, columns = explanation.grid
    top = explanation.values.shape[1]
    side = max(CELL, _LINE * top + 8)
    picture = Image.fromarray(explanation.pixels[number])
    picture = picture.resize((columns * side, rows * side), Image.Resampling.NEAREST)
    white = Image.new("RGB", picture.size, pictures.PAPER)
    drawn = Image.blend(picture, white, _VEIL)
    pen, font = ImageDraw.Draw(drawn), ImageFont.load_default(SIZE)
    for token in range(rows * columns):
        row, column = divmod(token, columns)
        left, upper = column * side, row * side
        place = number * rows * columns + token
        box = (left, upper, left + side - 1, upper + side - 1)
        pen.rectangle(box, outline=pictures.FAINT)
        pairs = zip(
            explanation.words[place], explanation.values[place].tolist(), strict=True
        )
        for line, (word, value) in enumerate(pairs):
            text = f"{_shown(word)} {value:.2f}"
            where = (left + 5, upper + 4 + line * _LINE)
            ink = pictures.INK if line == 0 else pictures.FAINT
            pen.text(where, text, font=font, fill=ink)
    return np.asarray(drawn)


def _shown(word: str) -> str:
    """Spaces and line breaks made visible where a word is nothing else."""
    stripped = word.strip()
    return stripped[:10] if stripped else repr(word)
