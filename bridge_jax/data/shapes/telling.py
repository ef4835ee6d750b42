"""Ways to tell a scene, whole but never twice alike: for readers, not for writers."""

from bridge_jax.data.choices import Choices
from bridge_jax.data.shapes import language
from bridge_jax.data.shapes.scene import Scene

NOTES = 0.6  # share of loose notes; the rest are captions


def told(stream: Choices, scene: Scene) -> str:
    """A full caption, its objects in any order, or notes.

    Notes name each thing by its words in any order, some twice: who reads those does
    not lean on grammar.
    """
    shuffled = Scene(scene.background, tuple(_any_order(stream, scene.objects)))
    if not stream.coin(NOTES):
        return language.STYLES[stream.choice(language.FULL_STYLES)](shuffled)
    notes = [[scene.background, "background"]]
    for thing in shuffled.objects:
        words = [thing.size, thing.color, str(thing.shape), thing.place]
        again = stream.choice(words)
        notes.append([*words, again] if stream.coin() else words)
    said = [" ".join(_any_order(stream, words)) for words in _any_order(stream, notes)]
    return ", ".join(said)


def _any_order(stream: Choices, things):
    return stream.sample(things, len(things))
