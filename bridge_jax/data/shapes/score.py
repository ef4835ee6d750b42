"""Judging a scene that was read: against the wanted scene, or a GenEval prompt."""

import collections
import dataclasses

from bridge_jax.data.shapes.scene import Object, Scene

Key = tuple[str | None, str, str, str]  # shape, color, size, place


@dataclasses.dataclass(frozen=True)
class Match:
    """How far a scene agrees with the wanted one.

    Attributes:
      background: whether the backgrounds are the same.
      matched: how many wanted objects are there with shape, color, size and place.
      missing, extra: (shape, color, size, place) wanted but absent, and the reverse.
    """

    background: bool
    matched: int
    missing: tuple[Key, ...]
    extra: tuple[Key, ...]

    @property
    def same(self) -> bool:
        return self.background and not self.missing and not self.extra

    @property
    def share(self) -> float:
        """Matched objects over all that are wanted or there, 0..1."""
        more = max(len(self.missing), len(self.extra))
        return self.matched / max(self.matched + more, 1)


def _keys(scene: Scene) -> collections.Counter[Key]:
    return collections.Counter(
        (thing.shape, thing.color, thing.size, thing.place) for thing in scene.objects
    )


def scenes_match(shown: Scene, wanted: Scene) -> Match:
    """Compares two scenes; where exactly within its place a thing is does not count."""
    there, asked = _keys(shown), _keys(wanted)
    return Match(
        background=shown.background == wanted.background,
        matched=(there & asked).total(),
        missing=tuple((asked - there).elements()),
        extra=tuple((there - asked).elements()),
    )


def relations(one: Object, other: Object) -> set[str]:
    """Where `one` is from `other`, as GenEval's relative_position decides.

    Centres must differ by more than a tenth of the summed widths; on a diagonal both
    axes may hold.
    """
    margin = 0.1 * 2 * (one.radius + other.radius)
    steps = one.x - other.x, one.y - other.y
    length = max((steps[0] ** 2 + steps[1] ** 2) ** 0.5, 1e-6)
    shares = [
        max(abs(step) - margin, 0.0) * (1 if step > 0 else -1) / length
        for step in steps
    ]
    names = (("left of", "right of"), ("above", "below"))
    found = set()
    for share, (before, after) in zip(shares, names):
        if abs(share) > 0.5:
            found.add(after if share > 0 else before)
    return found


def _fitting(scene: Scene, entry: dict) -> list[Object]:
    color = entry.get("color")
    return [
        thing
        for thing in scene.objects
        if thing.shape == entry["class"] and color in (None, thing.color)
    ]


def geneval_correct(scene: Scene, metadata: dict) -> bool:
    """Whether a scene is what a prompt asks for, by GenEval's rules.

    Every entry of `include` is there as often as it says; a position holds between some
    object of the entry and some object of the entry that it refers to; nothing of
    `exclude` is there as often as that says. Other things may be there too.
    """
    groups = [_fitting(scene, entry) for entry in metadata["include"]]
    for entry, group in zip(metadata["include"], groups):
        if len(group) < entry["count"]:
            return False
        if "position" in entry:
            wanted, index = entry["position"]
            couples = [(one, other) for one in group for other in groups[index]]
            if not any(wanted in relations(*couple) for couple in couples):
                return False
    return all(
        len(_fitting(scene, entry)) < entry["count"]
        for entry in metadata.get("exclude", ())
    )
