"""Which scenes a split may show: train, test and heldout never share one.

- train and test show no held-out (color, shape) pair; a hash of the canonical caption
  gives every such scene, whatever its jitter, to exactly one of the two;
- every heldout item shows at least one held-out pair.
"""

import hashlib
from collections.abc import Sequence

from bridge_jax.core import errors
from bridge_jax.data.choices import Choices
from bridge_jax.data.shapes import language, palette, scene
from bridge_jax.data.shapes.scene import Scene

SPLITS = ("train", "test", "heldout")
TEST_SHARE = 16  # one scene in 16 belongs to test
# Chosen so that each seen pair has at least three one-object scenes in test.
SALT = b"shapes357"


def check(split: str) -> str:
    """The split itself; raises BridgeError when there is none of that name."""
    if split not in SPLITS:
        names = ", ".join(SPLITS)
        raise errors.BridgeError(f"no split named {split!r} in shapes world: {names}")
    return split


def pairs(split: str) -> tuple[tuple[str, str], ...]:
    """The (color, shape) pairs that the split may show and name."""
    return palette.ALL_PAIRS if split == "heldout" else palette.SEEN_PAIRS


def in_test_bucket(described: Scene) -> bool:
    caption = language.canonical(described).encode()
    digest = hashlib.blake2b(caption, digest_size=1, salt=SALT).digest()
    return digest[0] % TEST_SHARE == 0


def admits(split: str, *scenes: Scene) -> bool:
    """Whether the split may show these scenes together in one item."""
    if split == "heldout":
        return any(one.has_heldout for one in scenes)
    if any(one.has_heldout for one in scenes):
        return False
    return all(in_test_bucket(one) == (split == "test") for one in scenes)


def sample_pairs(stream: Choices, split: str, count: int) -> list[tuple[str, str]]:
    """`count` random pairs of the split; in heldout one at least is held out."""
    chosen = [stream.choice(pairs(split)) for _ in range(count)]
    if split == "heldout":
        chosen[stream.below(count)] = stream.choice(palette.HELDOUT_PAIRS)
    return chosen


def sample_scene(
    stream: Choices, split: str, counts: Sequence[int] = scene.COUNTS
) -> Scene:
    """A random scene of the split with one of the given numbers of objects."""
    weights = [scene.COUNT_WEIGHTS[count - 1] for count in counts]
    count = stream.weighted(counts, weights)
    while True:
        drawn = scene.arrange(stream, sample_pairs(stream, split, count))
        if admits(split, drawn):
            return drawn
