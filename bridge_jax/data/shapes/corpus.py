"""All texts of the world in one stream, for training tokenizers."""

from collections.abc import Iterator

from bridge_jax.data.shapes import language, palette, questions

_FUNCTION_WORDS = """
a an the of on at is are there with and picture photo background
object objects what how many count color shape size in
does show left right above below larger smaller than more fewer
add put draw remove delete take away make paint change to replace
turn into move shift set or
"""

# Every word that the world writes, lower-cased, without punctuation.
VOCABULARY = frozenset(
    [
        *palette.SHAPES,
        *(language.plural(shape) for shape in palette.SHAPES),
        *palette.COLORS,
        *palette.BACKGROUNDS,
        *palette.SIZES,
        *(word for place in palette.PLACES for word in place.split()),
        *language.NUMBERS[1:],
        *(str(number) for number in range(palette.MAX_OBJECTS + 1)),
        *questions.YES_NO,
        *_FUNCTION_WORDS.split(),
    ]
)


def texts(items) -> Iterator[str]:
    """The texts of items: captions in all styles, questions with answers, prompts,
    instructions."""
    for item in items:
        for style in language.STYLES:
            yield item.caption(style)
        for asked in item.questions(7):
            yield asked.question
            yield asked.answer
        yield item.rewrite.prompt["prompt"]
        yield item.edit.instruction
