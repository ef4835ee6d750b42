"""Objects in colors without a name: they teach shapes apart from colors."""

import dataclasses

import numpy as np

from bridge_jax.core.errors import BridgeError
from bridge_jax.data.choices import Choices
from bridge_jax.data.shapes import draw, language, palette, splits
from bridge_jax.data.shapes import scene as scene_lib

# A color without a name is this far from every named one, if nobody asks for more;
# those are 80 apart.
UNLIKE_NAMED, UNLIKE_BACKGROUND = 40, 80
# As far from all of them is one color in thirty.
FARTHEST = 120
# No further from their background than these, at the faintest and the least faint, are
# the tints that are hardest to see: 80 and 120 hold the faintest named colors, too.
FAINT = (60, 120)


def pictured(
    rng: Choices,
    split: str,
    size: int = palette.IMAGE_SIZE,
    unlike: float = UNLIKE_NAMED,
) -> tuple[np.ndarray, str]:
    """A picture (uint8) with colors that no word is for, and its caption without them.

    Which color an object would have had says nothing then, so any shape may be tinted;
    objects that keep their color form pairs of the split. Tints are `unlike` apart from
    every named color, or further (see `check_unlike`).
    """
    pairs = [rng.choice(splits.pairs(split)) for _ in range(1 + rng.below(4))]
    scene = scene_lib.arrange(rng, pairs)
    given, nameless = {}, set()
    for number, _ in enumerate(scene.objects):
        if rng.coin(0.6):
            given[number] = _tint(rng, scene.background, unlike=unlike)
            nameless.add(number)
        elif rng.coin(0.25):
            nameless.add(number)
    shapes = [
        dataclasses.replace(one, shape=rng.choice(palette.SHAPES))
        if number in given
        else one
        for number, one in enumerate(scene.objects)
    ]
    scene = scene_lib.Scene(scene.background, tuple(shapes))
    return draw.render(scene, given, size), language.canonical(scene, nameless)


def check_unlike(unlike: float) -> None:
    """Raises BridgeError where hardly a color is that far from all that have a name."""
    if unlike > FARTHEST:
        raise BridgeError(f"unlike: {unlike:g} leaves no tints; {FARTHEST} is the most")


def tinted(
    rng: Choices, scene: scene_lib.Scene
) -> tuple[scene_lib.Scene, dict[int, draw.Tint]]:
    """A scene with other shapes in it, none in a named color, and the tints by number.

    Half of the tints are faint.
    """
    given, objects = {}, []
    for number, one in enumerate(scene.objects):
        limits = FAINT if rng.coin(0.5) else (UNLIKE_BACKGROUND,)
        given[number] = _tint(rng, scene.background, *limits)
        objects.append(dataclasses.replace(one, shape=rng.choice(palette.SHAPES)))
    return scene_lib.Scene(scene.background, tuple(objects)), given


def _tint(
    rng: Choices,
    background: str,
    nearest: float = UNLIKE_BACKGROUND,
    farthest: float = np.inf,
    unlike: float = UNLIKE_NAMED,
) -> draw.Tint:
    named = np.array(list(palette.COLORS.values()))
    behind = np.array(palette.BACKGROUNDS[background])
    while True:
        tint = tuple(rng.below(256) for _ in range(3))
        far = np.linalg.norm(named - tint, axis=1).min() >= unlike
        if far and nearest <= np.linalg.norm(behind - tint) <= farthest:
            return tint
