"""Descriptions that pick out objects: by attributes, or by place."""

import itertools

from bridge_jax.data.choices import Choices
from bridge_jax.data.shapes import language
from bridge_jax.data.shapes.scene import Object, Scene

# In the order in which English puts them; a missing shape is called "object".
ATTRIBUTES = ("size", "color", "shape")
SUBSETS = tuple(
    subset
    for count in range(1, len(ATTRIBUTES) + 1)
    for subset in itertools.combinations(ATTRIBUTES, count)
)
Description = dict[str, str]


def describe(thing: Object, attributes: tuple[str, ...]) -> Description:
    return {name: getattr(thing, name) for name in attributes}


def fits(thing: Object, description: Description) -> bool:
    return all(getattr(thing, name) == value for name, value in description.items())


def count(scene: Scene, description: Description) -> int:
    return sum(fits(thing, description) for thing in scene.objects)


def noun(description: Description, many: bool = False) -> str:
    """The noun phrase without article: 'small red circle', 'green objects'."""
    words = [description[name] for name in ATTRIBUTES[:2] if name in description]
    head = description.get("shape", "object")
    return " ".join([*words, language.plural(head) if many else head])


def by_attributes(scene: Scene, thing: Object, without: str = "") -> list[str]:
    """Noun phrases of attributes (all but `without`) that fit `thing` alone."""
    found = []
    for subset in SUBSETS:
        if without not in subset:
            description = describe(thing, subset)
            if count(scene, description) == 1:
                found.append(noun(description))
    return found


def by_place(thing: Object, without: str = "") -> list[str]:
    heads = ["object"] if without == "shape" else ["object", thing.shape]
    return [f"{head} at the {thing.place}" for head in heads]


def pick(stream: Choices, scene: Scene, thing: Object, without: str = "") -> str:
    """One unambiguous description without article; three in four by attributes."""
    found = by_attributes(scene, thing, without)
    if found and stream.coin(0.75):
        return stream.choice(found)
    return stream.choice(by_place(thing, without))
