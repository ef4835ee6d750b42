"""Noun phrases and captions, and the reading of canonical captions."""

import re
from collections.abc import Callable, Collection, Sequence

from bridge_jax.data.shapes import palette, scene
from bridge_jax.data.shapes.scene import Object, Scene

NUMBERS = ("no", "one", "two", "three", "four")


def article(phrase: str) -> str:
    """The phrase with its indefinite article."""
    return ("an " if phrase[0] in "aeiou" else "a ") + phrase


def plural(noun: str) -> str:
    return noun + ("es" if noun.endswith("s") else "s")


def join(phrases: Sequence[str]) -> str:
    """'x', 'x and y', 'x, y and z'."""
    if len(phrases) == 1:
        return phrases[0]
    return ", ".join(phrases[:-1]) + " and " + phrases[-1]


def canonical(described: Scene, nameless: Collection[int] = ()) -> str:
    """The caption that fixes a scene but for jitter; `parse_caption` is its inverse.

    It has at most 35 words and commas. Objects whose numbers are in `nameless` go
    without their color.
    """
    parts = []
    for number, thing in enumerate(described.objects):
        parts.append(spot(thing, named=number not in nameless))
    parts.append(f"on {backdrop(described)}")
    return ", ".join(parts)


def spot(thing: Object, named: bool = True) -> str:
    """An object as canonical captions say it: 'a small red circle top left'."""
    color = [thing.color] if named else []
    return " ".join(["a", thing.size, *color, thing.shape, thing.place])


def backdrop(described: Scene) -> str:
    return f"{article(described.background)} background"


def _list(described: Scene, phrase: Callable[[Object], str]) -> str:
    return join([article(phrase(thing)) for thing in described.objects])


def _full(thing: Object) -> str:
    return f"{thing.size} {thing.color} {thing.shape}"


def _full_at(thing: Object) -> str:
    return f"{_full(thing)} at the {thing.place}"


def _colored(thing: Object) -> str:
    return f"{thing.color} {thing.shape}"


def _sentence(described: Scene) -> str:
    things = _list(described, _full_at)
    return f"there is {things}. the background is {described.background}."


def _background_first(described: Scene) -> str:
    return f"{described.background} background with {_list(described, _full_at)}"


def _picture(described: Scene) -> str:
    return f"a picture of {_list(described, _colored)}"


def _without_places(described: Scene) -> str:
    background = article(described.background)
    return f"{_list(described, _full)} on {background} background"


def _without_sizes(described: Scene) -> str:
    things = _list(described, lambda thing: f"{_colored(thing)} at the {thing.place}")
    return f"{things} on {described.background}"


def _shapes(described: Scene) -> str:
    return f"there is {_list(described, lambda thing: thing.shape)}"


def _summary(described: Scene) -> str:
    count = len(described.objects)
    noun = "object" if count == 1 else "objects"
    things = ", ".join(_colored(thing) for thing in described.objects)
    background = article(described.background)
    return f"{NUMBERS[count]} {noun} on {background} background: {things}"


# The first three fix the scene but for jitter; the others leave something out.
STYLES: dict[str, Callable[[Scene], str]] = {
    "canonical": canonical,
    "sentence": _sentence,
    "background_first": _background_first,
    "picture": _picture,
    "without_places": _without_places,
    "without_sizes": _without_sizes,
    "shapes": _shapes,
    "summary": _summary,
}
FULL_STYLES = ("canonical", "sentence", "background_first")


def _either(words) -> str:
    # Longest first, so that "top left" is not read as "top".
    return "|".join(sorted(words, key=len, reverse=True))


_OBJECT = re.compile(
    rf"an? ({_either(palette.SIZES)}) ({_either(palette.COLORS)}) "
    rf"({_either(palette.SHAPES)}) ({_either(palette.PLACES)})"
)
_BACKGROUND = re.compile(rf"on an? ({_either(palette.BACKGROUNDS)}) background")


def parse_caption(text: str) -> Scene | None:
    """The scene of a canonical caption, objects at their places' centres.

    Case, spacing, a final full stop and the order of objects are forgiven; None when
    the text says anything else, names a place twice, or has not 1 to 4 objects.
    """
    *things, last = re.split(r"\s*,\s*", " ".join(text.lower().split()).rstrip(" ."))
    background = _BACKGROUND.fullmatch(last)
    matches = [_OBJECT.fullmatch(thing) for thing in things]
    if background is None or None in matches:
        return None
    objects = []
    for match in matches:
        size, color, shape, place = match.groups()
        x, y = palette.PLACES[place]
        objects.append(Object(shape, color, size, place, float(x), float(y)))
    places = {thing.place for thing in objects}
    if len(places) != len(objects) or not 1 <= len(objects) <= palette.MAX_OBJECTS:
        return None
    return scene.make(background.group(1), objects)
