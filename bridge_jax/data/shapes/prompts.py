"""Prompts with GenEval's metadata (https://github.com/djghosh13/geneval, 2023).

A prompt is a dict {"tag", "include", "prompt"} and, for counting, "exclude"; each entry
of include has "class" (the shape), "count", and where named "color" and "position"
([relation, index of the other entry]). As in GenEval the second object is named first
in include: "a photo of a circle left of a star" includes the star, then the circle.
"""

import functools
import itertools

from bridge_jax.core import errors
from bridge_jax.data.choices import Choices
from bridge_jax.data.shapes import language, palette, scene, splits
from bridge_jax.data.shapes.scene import Scene

TAGS = (
    "single_object",
    "two_object",
    "counting",
    "colors",
    "position",
    "color_attr",
)
COUNTS = (2, 3, 4)
# Steps in columns and rows from the second object to the first.
POSITIONS = {
    "left of": (-1, 0),
    "right of": (1, 0),
    "above": (0, -1),
    "below": (0, 1),
}

Prompt = dict
Kind = tuple[str | None, str]  # color if named, shape


def _noun(kind: Kind) -> str:
    color, shape = kind
    return f"{color} {shape}" if color else shape


def _entry(kind: Kind, count: int = 1, **more) -> dict:
    color, shape = kind
    entry = {"class": shape, "count": count}
    if color:
        entry["color"] = color
    return {**entry, **more}


def _photo(tag: str, phrase: str, *include: dict, **more) -> Prompt:
    prompt = f"a photo of {phrase}"
    return {"tag": tag, "include": list(include), **more, "prompt": prompt}


def _one(tag: str, kind: Kind) -> Prompt:
    return _photo(tag, language.article(_noun(kind)), _entry(kind))


def _both(tag: str, one: Kind, two: Kind) -> Prompt:
    phrase = f"{language.article(_noun(one))} and {language.article(_noun(two))}"
    return _photo(tag, phrase, _entry(one), _entry(two))


def _counting(kind: Kind, count: int) -> Prompt:
    phrase = f"{language.NUMBERS[count]} {language.plural(_noun(kind))}"
    too_many = {"class": kind[1], "count": count + 1}
    return _photo("counting", phrase, _entry(kind, count), exclude=[too_many])


def _position(one: Kind, relation: str, two: Kind) -> Prompt:
    articles = language.article(_noun(one)), language.article(_noun(two))
    phrase = f"{articles[0]} {relation} {articles[1]}"
    first = _entry(one, position=[relation, 0])
    return _photo("position", phrase, _entry(two), first)


def _couples(split: str) -> list[tuple[Kind, Kind]]:
    """Two kinds of different shapes: bare, or in heldout one of them held out."""
    bare = [(None, shape) for shape in palette.SHAPES]
    if split != "heldout":
        couples = list(itertools.permutations(bare, 2))
    else:
        held = list(itertools.product(palette.HELDOUT_PAIRS, bare))
        couples = held + [(two, one) for one, two in held]
    return [(one, two) for one, two in couples if one[1] != two[1]]


def _colored_couples(split: str) -> list[tuple[Kind, Kind]]:
    """Two colored kinds of different shapes and different colors."""
    couples = []
    for one, two in itertools.permutations(splits.pairs(split), 2):
        if one[0] == two[0] or one[1] == two[1]:
            continue
        held = one in palette.HELDOUT_PAIRS or two in palette.HELDOUT_PAIRS
        if held == (split == "heldout"):
            couples.append((one, two))
    return couples


@functools.cache
def every(split: str, tag: str) -> tuple[Prompt, ...]:
    """All prompts of a tag in a split, without repetition; in heldout all name a pair.

    Train and test share their prompts (six single objects exist, no more); what they
    never share is a scene.
    """
    colored = splits.pairs("train")
    kinds: list[Kind] = [(None, shape) for shape in palette.SHAPES]
    if split == "heldout":
        kinds = colored = palette.HELDOUT_PAIRS
    match tag:
        case "single_object":
            return tuple(_one(tag, kind) for kind in kinds)
        case "colors":
            return tuple(_one(tag, kind) for kind in colored)
        case "counting":
            grid = itertools.product(kinds, COUNTS)
            return tuple(_counting(kind, count) for kind, count in grid)
        case "two_object":
            return tuple(_both(tag, *couple) for couple in _couples(split))
        case "color_attr":
            return tuple(_both(tag, *couple) for couple in _colored_couples(split))
        case _:
            grid = itertools.product(_couples(split), POSITIONS)
            return tuple(_position(one, name, two) for (one, two), name in grid)


@functools.cache
def _place_couples(relation: str | None) -> tuple[tuple[str, str], ...]:
    """Places for (first named, second named): plainly so related, not diagonally."""
    couples = itertools.permutations(scene.PLACE_NAMES, 2)
    if relation is None:
        return tuple(couples)
    step = POSITIONS[relation]
    found = []
    for one, two in couples:
        (x, y), (to_x, to_y) = palette.CELLS[one], palette.CELLS[two]
        along = (x - to_x) * step[0] + (y - to_y) * step[1]
        across = abs((x - to_x) * step[1]) + abs((y - to_y) * step[0])
        if along > across:
            found.append((one, two))
    return tuple(found)


def _pairs(stream: Choices, split: str, entry: dict) -> list[tuple[str, str]]:
    """The (color, shape) pairs of an entry, colors random where it names none."""
    shape = entry["class"]
    colors = [color for color, other in splits.pairs(split) if other == shape]
    chosen = [
        entry.get("color") or stream.choice(colors) for _ in range(entry["count"])
    ]
    return [(color, shape) for color in chosen]


def scene_for(
    stream: Choices, split: str, prompt: Prompt, background: str | None = None
) -> Scene:
    """A scene of the split with exactly the named objects; all else is random."""
    if background is not None and background not in palette.BACKGROUNDS:
        known = ", ".join(palette.BACKGROUNDS)
        raise errors.BridgeError(f"no background named {background!r}: {known}")
    include = prompt["include"]
    relation = include[-1].get("position", (None,))[0]
    while True:
        pairs = [pair for entry in include for pair in _pairs(stream, split, entry)]
        places = None
        if relation:
            first, second = stream.choice(_place_couples(relation))
            places = (second, first)
        drawn = scene.arrange(stream, pairs, places, background)
        if splits.admits(split, drawn):
            return drawn


def sample(stream: Choices, split: str, tag: str) -> Prompt:
    return stream.choice(every(split, tag))


def varied(stream: Choices, split: str, tag: str) -> Prompt:
    """A prompt of the tag's form in which any kind may come with or without its color.

    For training: from `every` a model learns that in some forms no color is ever named.
    """

    def kind() -> Kind:
        color, shape = stream.choice(splits.pairs(split))
        return (color if stream.coin() else None), shape

    one = kind()
    if split == "heldout":  # which shows a held-out pair in every scene
        one = stream.choice(palette.HELDOUT_PAIRS)
    match tag:
        case "single_object" | "colors":
            return _one(tag, one)
        case "counting":
            return _counting(one, stream.choice(COUNTS))
    two = kind()
    while one[1] == two[1]:
        two = kind()
    if tag == "position":
        return _position(one, stream.choice(tuple(POSITIONS)), two)
    return _both(tag, one, two)


def about(stream: Choices, shown: Scene) -> list[Prompt]:
    """True prompts that name all objects of a scene (there are none for some)."""
    things = stream.sample(shown.objects, len(shown.objects))
    shapes = {thing.shape for thing in things}
    if len(things) == 1:
        kind = things[0].pair
        return [_one("single_object", (None, kind[1])), _one("colors", kind)]
    if len(shapes) == 1:
        return [_counting((None, things[0].shape), len(things))]
    if len(things) != 2:
        return []
    one, two = things
    bare = (None, one.shape), (None, two.shape)
    found = [_both("two_object", *bare)]
    if one.color != two.color:
        found.append(_both("color_attr", one.pair, two.pair))
    for relation in POSITIONS:
        if (one.place, two.place) in _place_couples(relation):
            found.append(_position(bare[0], relation, bare[1]))
    return found
