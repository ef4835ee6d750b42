"""Edits: an instruction, the scene before it and the scene after it."""

import dataclasses
from collections.abc import Callable

from bridge_jax.data.choices import Choices
from bridge_jax.data.shapes import language, palette, reference, scene, splits
from bridge_jax.data.shapes.scene import Object, Scene

TRIES = 48


@dataclasses.dataclass(frozen=True, slots=True)
class Edit:
    """What to change in `source` (of one of KINDS) and the `target` that results."""

    kind: str
    instruction: str
    source: Scene
    target: Scene

    @property
    def change(self) -> str:
        """What changes, in the words of canonical captions.

        'add a small red circle top', 'remove a small red circle top', 'change a small
        red circle top to a small red circle left'.
        """
        before, after = set(self.source.objects), set(self.target.objects)
        gone = [language.spot(thing) for thing in before - after]
        new = [language.spot(thing) for thing in after - before]
        if self.source.background != self.target.background:
            gone.append(language.backdrop(self.source))
            new.append(language.backdrop(self.target))
        match gone, new:
            case [], [thing]:
                return f"add {thing}"
            case [thing], []:
                return f"remove {thing}"
            case [old], [thing]:
                return f"change {old} to {thing}"
        raise ValueError(f"an edit changes one thing, not {gone} to {new}")

    def to_json(self) -> dict:
        return {
            "kind": self.kind,
            "instruction": self.instruction,
            "source": self.source.to_json(),
            "target": self.target.to_json(),
        }


Change = tuple[str, Scene]  # instruction, target


def _swap(source: Scene, old: Object, new: Object) -> Scene:
    kept = [thing for thing in source.objects if thing is not old]
    return scene.make(source.background, [*kept, new])


def _free(source: Scene) -> list[str]:
    taken = {thing.place for thing in source.objects}
    return [place for place in palette.PLACES if place not in taken]


def _add(stream: Choices, source: Scene, split: str) -> Change:
    color, shape = stream.choice(splits.pairs(split))
    size, place = stream.choice(scene.SIZE_NAMES), stream.choice(_free(source))
    bare = Object(shape, color, size, place, 0.0, 0.0)
    new = scene.placed(stream, bare, place, source.objects)
    verb = stream.choice(("add", "put", "draw"))
    instruction = f"{verb} a {size} {color} {shape} at the {place}"
    return instruction, scene.make(source.background, [*source.objects, new])


def _remove(stream: Choices, source: Scene, split: str) -> Change:
    old = stream.choice(source.objects)
    verb = stream.choice(("remove", "delete", "take away"))
    instruction = f"{verb} the {reference.pick(stream, source, old)}"
    kept = [thing for thing in source.objects if thing is not old]
    return instruction, scene.make(source.background, kept)


def _recolour(stream: Choices, source: Scene, split: str) -> Change:
    old = stream.choice(source.objects)
    color = stream.choice([name for name in palette.COLORS if name != old.color])
    what = reference.pick(stream, source, old)
    instruction = stream.choice(
        (
            f"make the {what} {color}",
            f"paint the {what} {color}",
            f"change the color of the {what} to {color}",
        )
    )
    return instruction, _swap(source, old, dataclasses.replace(old, color=color))


def _replace(stream: Choices, source: Scene, split: str) -> Change:
    old = stream.choice(source.objects)
    pairs = [pair for pair in splits.pairs(split) if pair[1] != old.shape]
    color, shape = stream.choice(pairs)
    what = reference.pick(stream, source, old)
    new = f"{'an' if color == 'orange' else 'a'} {color} {shape}"
    instruction = stream.choice(
        (f"replace the {what} with {new}", f"turn the {what} into {new}")
    )
    swapped = dataclasses.replace(old, color=color, shape=shape)
    return instruction, _swap(source, old, swapped)


def _move(stream: Choices, source: Scene, split: str) -> Change:
    old = stream.choice(source.objects)
    others = [thing for thing in source.objects if thing is not old]
    place = stream.choice(_free(source))
    verb = stream.choice(("move", "shift"))
    what = reference.pick(stream, source, old)
    new = scene.placed(stream, old, place, others)
    return f"{verb} the {what} to the {place}", _swap(source, old, new)


def _background(stream: Choices, source: Scene, split: str) -> Change:
    others = [name for name in palette.BACKGROUNDS if name != source.background]
    color = stream.choice(others)
    instruction = stream.choice(
        (
            f"change the background to {color}",
            f"make the background {color}",
            f"set the background color to {color}",
        )
    )
    return instruction, dataclasses.replace(source, background=color)


CHANGES: dict[str, Callable[[Choices, Scene, str], Change]] = {
    "add": _add,
    "remove": _remove,
    "recolour": _recolour,
    "replace": _replace,
    "move": _move,
    "background": _background,
}
KINDS = tuple(CHANGES)
# How many objects the source may have, so that the target has 1 to 4.
SOURCE_COUNTS = {"add": (1, 2, 3), "remove": (2, 3, 4)}


def sample(stream: Choices, split: str, kind: str) -> Edit:
    """A random edit of the given kind, both scenes of the split.

    In heldout the pair may be in the source, in the target or in both.
    """
    counts = SOURCE_COUNTS.get(kind, scene.COUNTS)
    while True:
        # Half of the heldout edits start from a seen scene that may gain a pair.
        start = "train" if split == "heldout" and stream.coin() else split
        source = splits.sample_scene(stream, start, counts)
        edit = of(stream, source, split, kind)
        if edit is not None:
            return edit


def of(stream: Choices, source: Scene, split: str, kind: str) -> Edit | None:
    """A random edit of `source`; None where no try gives what the split may show."""
    for _ in range(TRIES):
        instruction, target = CHANGES[kind](stream, source, split)
        if splits.admits(split, source, target):
            return Edit(kind, instruction, source, target)
    return None
