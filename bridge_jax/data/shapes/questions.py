"""Questions about a scene, each with its one right answer of one or two words."""

import dataclasses
from collections.abc import Callable, Iterable

from bridge_jax.core.errors import BridgeError
from bridge_jax.data.choices import Choices
from bridge_jax.data.shapes import language, palette, reference
from bridge_jax.data.shapes.scene import Object, Scene

RELATIONS = ("left", "right", "above", "below")
KINDS = ("count", "color_of", "shape_of", "size_of", "exists", *RELATIONS, "comparison")
YES_NO = ("no", "yes")

# Asking alike for every answer would make "4" rare, as few scenes have four of a kind.
COUNT_WEIGHTS = (1.0, 1.0, 2.0, 4.0, 8.0)


@dataclasses.dataclass(frozen=True, slots=True)
class Question:
    """A question of one of KINDS and its answer, both plain text.

    Attributes:
      thought: what the answer rests on, mostly the places of the things in question.
    """

    kind: str
    question: str
    answer: str
    thought: str

    def to_json(self) -> dict:
        """All but the thought, which nobody is judged by."""
        return {
            "kind": self.kind,
            "question": self.question,
            "answer": self.answer,
        }


# Makers return None where a scene gives no such question.
Maker = Callable[[Choices, Scene, tuple], Question | None]


def _allowed(description: reference.Description, pairs: tuple) -> bool:
    if "color" not in description or "shape" not in description:
        return True
    return (description["color"], description["shape"]) in pairs


def _places(things: Iterable[Object]) -> str:
    """'top left, bottom', or 'none'."""
    return ", ".join(thing.place for thing in things) or "none"


def _those(shown: Scene, description: reference.Description) -> str:
    """Where the things are that it fits."""
    return _places(one for one in shown.objects if reference.fits(one, description))


def _count(stream: Choices, shown: Scene, pairs: tuple) -> Question:
    groups: list[reference.Description] = [{}]
    groups += [{"shape": shape} for shape in palette.SHAPES]
    groups += [{"color": color} for color in palette.COLORS]
    groups += [{"size": size} for size in palette.SIZES]
    groups += [{"color": one.color, "shape": one.shape} for one in shown.objects]
    by_number: dict[int, list[reference.Description]] = {}
    for group in groups:
        by_number.setdefault(reference.count(shown, group), []).append(group)
    numbers = sorted(by_number)
    number = stream.weighted(numbers, [COUNT_WEIGHTS[n] for n in numbers])
    group = stream.choice(by_number[number])
    things = reference.noun(group, many=True)
    text = stream.choice(
        (
            f"How many {things} are there?",
            f"How many {things} are in the picture?",
            f"Count the {things}.",
        )
    )
    return Question("count", text, str(number), _those(shown, group))


def _color_of(stream: Choices, shown: Scene, pairs: tuple) -> Question:
    if stream.coin(0.15):
        text = "What color is the background?"
        return Question("color_of", text, shown.background, "background")
    thing = stream.choice(shown.objects)
    what = reference.pick(stream, shown, thing, without="color")
    text = stream.choice(
        (f"What color is the {what}?", f"What is the color of the {what}?")
    )
    return Question("color_of", text, thing.color, thing.place)


def _shape_of(stream: Choices, shown: Scene, pairs: tuple) -> Question:
    thing = stream.choice(shown.objects)
    what = reference.pick(stream, shown, thing, without="shape")
    text = stream.choice(
        (f"What shape is the {what}?", f"What is the shape of the {what}?")
    )
    return Question("shape_of", text, thing.shape, thing.place)


def _size_of(stream: Choices, shown: Scene, pairs: tuple) -> Question:
    thing = stream.choice(shown.objects)
    what = reference.pick(stream, shown, thing, without="size")
    text = stream.choice(
        (f"What size is the {what}?", f"Is the {what} small or large?")
    )
    return Question("size_of", text, thing.size, thing.place)


def _absent(stream: Choices, shown: Scene, pairs: tuple) -> reference.Description:
    """A description that fits nothing, often close to something that is there."""
    words = {"size": palette.SIZES, "color": palette.COLORS, "shape": palette.SHAPES}
    while True:
        thing = stream.choice(shown.objects)
        description = reference.describe(thing, stream.choice(_EXISTS_SUBSETS))
        for name in description:
            if stream.coin(0.6):
                description[name] = stream.choice(tuple(words[name]))
        if _allowed(description, pairs) and not reference.count(shown, description):
            return description


_EXISTS_SUBSETS = (("shape",), ("color",), ("color", "shape"), ("size", "shape"))


def _exists(stream: Choices, shown: Scene, pairs: tuple) -> Question:
    answer = stream.coin()
    if stream.coin(0.15):
        taken = {thing.place for thing in shown.objects}
        places = [place for place in palette.PLACES if (place in taken) == answer]
        place = stream.choice(places)
        what, seen = f"an object at the {place}", place if answer else "none"
    else:
        if answer:
            thing = stream.choice(shown.objects)
            description = reference.describe(thing, stream.choice(_EXISTS_SUBSETS))
        else:
            description = _absent(stream, shown, pairs)
        what = language.article(reference.noun(description))
        seen = _those(shown, description)
    text = stream.choice((f"Is there {what}?", f"Does the picture show {what}?"))
    return Question("exists", text, YES_NO[answer], seen)


def holds(relation: str, one: Object, other: Object) -> bool:
    """Whether the places say so: 'left' compares columns, 'above' rows."""
    axis = 0 if relation in ("left", "right") else 1
    difference = palette.CELLS[other.place][axis] - palette.CELLS[one.place][axis]
    return difference > 0 if relation in ("left", "above") else difference < 0


def _two(stream: Choices, shown: Scene) -> list[tuple[Object, str]]:
    """Two objects with descriptions that need no place; empty where there are none."""
    named = []
    for thing in shown.objects:
        nouns = reference.by_attributes(shown, thing)
        if nouns:
            named.append((thing, stream.choice(nouns)))
    return stream.sample(named, 2) if len(named) > 1 else []


def _relation(stream: Choices, shown: Scene, pairs: tuple) -> Question | None:
    named = _two(stream, shown)
    return _relate(stream, *named) if named else None


def _relate(stream: Choices, first: tuple[Object, str], second: tuple[Object, str]):
    (one, one_name), (other, other_name) = first, second
    answer = stream.coin()
    fitting = [kind for kind in RELATIONS if holds(kind, one, other) == answer]
    kind = stream.choice(fitting)
    words = f"{kind} of" if kind in ("left", "right") else kind
    text = f"Is the {one_name} {words} the {other_name}?"
    return Question(kind, text, YES_NO[answer], _places((one, other)))


def _place_of(stream: Choices, shown: Scene, pairs: tuple) -> Question | None:
    thing = stream.choice(shown.objects)
    nouns = reference.by_attributes(shown, thing)
    if not nouns:
        return None
    text = f"Where is the {stream.choice(nouns)}?"
    thought = reference.noun(reference.describe(thing, reference.ATTRIBUTES))
    return Question("place_of", text, thing.place, thought)


def _relation_told(stream: Choices, shown: Scene, pairs: tuple) -> Question | None:
    """A relation of two objects, one or both of which the question says where to find:
    half of the way from a place to a relation."""
    if len(shown.objects) < 2:
        return None
    named = []
    for thing in stream.sample(shown.objects, 2):
        nouns = reference.by_attributes(shown, thing)
        if not nouns or stream.coin(0.75):
            nouns = reference.by_place(thing)
        named.append((thing, stream.choice(nouns)))
    return _relate(stream, *named)


def _compare_sizes(stream: Choices, shown: Scene) -> Question | None:
    named = _two(stream, shown)
    if not named or named[0][0].size == named[1][0].size:
        return None
    (one, one_name), (other, other_name) = named
    word = stream.choice(("larger", "smaller"))
    answer = (one.size == "large") == (word == "larger")
    text = f"Is the {one_name} {word} than the {other_name}?"
    thought = ", ".join(f"{thing.size} {thing.place}" for thing in (one, other))
    return Question("comparison", text, YES_NO[answer], thought)


def _compare_counts(stream: Choices, shown: Scene) -> Question:
    name = stream.choice(reference.ATTRIBUTES)
    words = {"size": palette.SIZES, "color": palette.COLORS, "shape": palette.SHAPES}
    # One group is there, so that the question is about the picture.
    there = getattr(stream.choice(shown.objects), name)
    other = stream.choice([word for word in words[name] if word != there])
    present = [getattr(one, name) for one in shown.objects]
    if stream.coin(0.5) and len(set(present)) > 1:
        other = stream.choice([word for word in present if word != there])
    groups = [{name: there}, {name: other}]
    answer = stream.coin(0.62)  # more than half, as equal numbers always give "no"
    word = stream.choice(("more", "fewer"))
    first, second = (reference.count(shown, group) for group in groups)
    if ((first > second) if word == "more" else (first < second)) != answer:
        groups.reverse()
        first, second = second, first
    answer = first > second if word == "more" else first < second
    one, two = (reference.noun(group, many=True) for group in groups)
    text = f"Are there {word} {one} than {two}?"
    thought = "; ".join(_those(shown, group) for group in groups)
    return Question("comparison", text, YES_NO[answer], thought)


def _comparison(stream: Choices, shown: Scene, pairs: tuple) -> Question:
    by_size = _compare_sizes(stream, shown) if stream.coin() else None
    return by_size or _compare_counts(stream, shown)


EVEN: tuple[Maker, ...] = (
    _count,
    _color_of,
    _shape_of,
    _size_of,
    _exists,
    _relation,
    _comparison,
)
# For training alone: what is hard is asked more often, and what a relation rests on,
# the places of the two, is asked for by itself (such questions are in no evaluation).
LESSONS = EVEN + (_relation, _relation, _comparison, _place_of, _place_of)
LESSONS += (_relation_told,)
# Mostly what takes several objects of a picture at once, with a little of all else.
REASONING = LESSONS + (_relation, _relation, _comparison, _count, _count)
MIXES: dict[str, tuple[Maker, ...]] = {
    "even": EVEN,
    "lessons": LESSONS,
    "reasoning": REASONING,
}


def check_mix(name: str) -> None:
    """Raises BridgeError unless it is one of MIXES."""
    if name not in MIXES:
        raise BridgeError(f"no mix of questions {name!r}: {', '.join(MIXES)}")


def ask(
    stream: Choices, shown: Scene, pairs: tuple, number: int, mix: str = "even"
) -> list[Question]:
    """`number` questions about a scene, kinds alike often where the scene has them.

    Args:
      pairs: the (color, shape) pairs that questions may name.
      mix: which kinds are asked how often, one of MIXES.
    """
    asked: list[Question] = []
    while len(asked) < number:
        question = stream.choice(MIXES[mix])(stream, shown, pairs)
        if question is not None:
            asked.append(question)
    return asked
