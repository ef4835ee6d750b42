"""Scenes: what is where, how they are sampled, and how they become JSON."""

import dataclasses
from collections.abc import Sequence

from bridge_jax.data.choices import Choices
from bridge_jax.data.shapes import palette

COUNTS = (1, 2, 3, 4)
COUNT_WEIGHTS = (0.2, 0.3, 0.25, 0.25)

SIZE_NAMES = tuple(palette.SIZES)
PLACE_NAMES = tuple(palette.PLACES)
BACKGROUND_NAMES = tuple(palette.BACKGROUNDS)
PLACE_ORDER = {place: i for i, place in enumerate(PLACE_NAMES)}


@dataclasses.dataclass(frozen=True, slots=True)
class Object:
    """One drawn thing; x, y is its centre in pixels (pixel i spans [i, i + 1)).

    `shape` is None only in scenes read from pictures, for things of no known shape.
    """

    shape: str | None
    color: str
    size: str
    place: str
    x: float
    y: float

    @property
    def pair(self) -> tuple[str, str | None]:
        return self.color, self.shape

    @property
    def radius(self) -> float:
        return palette.SIZES[self.size]


@dataclasses.dataclass(frozen=True, slots=True)
class Scene:
    """A flat background and its objects in reading order."""

    background: str
    objects: tuple[Object, ...]

    def to_json(self) -> dict:
        return {
            "background": self.background,
            "objects": [dataclasses.asdict(thing) for thing in self.objects],
        }

    @classmethod
    def from_json(cls, data: dict) -> "Scene":
        objects = (Object(**thing) for thing in data["objects"])
        return make(data["background"], objects)

    @property
    def has_heldout(self) -> bool:
        return any(thing.pair in palette.HELDOUT_PAIRS for thing in self.objects)


def make(background: str, objects) -> Scene:
    """A scene whose objects are put into reading order."""
    ordered = sorted(objects, key=lambda thing: (PLACE_ORDER[thing.place], thing.x))
    return Scene(background, tuple(ordered))


def clear_of(thing: Object, others: Sequence[Object]) -> bool:
    """Whether the box of `thing` keeps the margin to the boxes of all `others`."""
    for other in others:
        gap = thing.radius + other.radius + palette.MARGIN
        if abs(thing.x - other.x) < gap and abs(thing.y - other.y) < gap:
            return False
    return True


def placed(stream: Choices, thing: Object, place: str, others: Sequence[Object]):
    """`thing` at a free place, with jitter that keeps the margin to `others`.

    Between two large neighbours at their worst 1 px of jitter along an axis is left, so
    the loop ends, on average after fewer than two rounds.
    """
    x, y = palette.PLACES[place]
    steps = int(2 * palette.JITTER * palette.SUBPIXEL) + 1
    while True:
        moved = Object(
            thing.shape,
            thing.color,
            thing.size,
            place,
            x - palette.JITTER + stream.below(steps) / palette.SUBPIXEL,
            y - palette.JITTER + stream.below(steps) / palette.SUBPIXEL,
        )
        if clear_of(moved, others):
            return moved


def arrange(
    stream: Choices,
    pairs: Sequence[tuple[str, str]],
    places: Sequence[str] | None = None,
    background: str | None = None,
) -> Scene:
    """A scene of the given (color, shape) pairs; what is not given is random."""
    if places is None:
        places = stream.sample(PLACE_NAMES, len(pairs))
    objects: list[Object] = []
    for (color, shape), place in zip(pairs, places):
        size = stream.choice(SIZE_NAMES)
        thing = Object(shape, color, size, place, 0.0, 0.0)
        objects.append(placed(stream, thing, place, objects))
    return make(background or stream.choice(BACKGROUND_NAMES), objects)
