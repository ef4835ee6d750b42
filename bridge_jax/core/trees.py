"""Nested dicts of parameters by path: ordered masks, parts, and putting together.

A path is the `/`-joined keys, "llm/layers_0/mlp/gate/kernel". Leaves are whatever is
not a mapping.
"""

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bridge_jax.core.errors import BridgeError
from bridge_jax.core.weights import flatten, unflatten

Tree = Mapping[str, Any]
_REQUIRED = object()


def map_paths(function: Callable[..., Any], tree: Tree, *rest: Tree) -> dict[str, Any]:
    """function(path, leaf, *leaves of rest) at every leaf of `tree`."""
    others = [flatten(other) for other in rest]
    return unflatten(
        {
            path: function(path, leaf, *(other[path] for other in others))
            for path, leaf in flatten(tree).items()
        }
    )


def match(
    patterns: Sequence[tuple[str, Any]], tree: Tree, default: Any = _REQUIRED
) -> dict[str, Any]:
    """A tree of values: at each leaf that of the first pattern matching its path.

    Args:
      patterns: ordered (regular expression of the whole path, value).
      tree: gives the paths.
      default: value of paths that nothing matches; an error if not given.

    Raises:
      BridgeError: every pattern that matches no path (with the nearest ones), or
        paths without a value.
    """
    paths = list(flatten(tree))
    compiled = [(_compile(pattern), value) for pattern, value in patterns]
    dead = [p.pattern for p, _ in compiled if not any(map(p.fullmatch, paths))]
    if dead:
        raise BridgeError(
            "; ".join(
                f"pattern {pattern!r} matches no parameter; nearest: "
                + ", ".join(_nearest(pattern, paths))
                for pattern in dead
            )
        )
    values = {}
    for path in paths:
        found = (value for regex, value in compiled if regex.fullmatch(path))
        values[path] = next(found, default)
    bare = [path for path, value in values.items() if value is _REQUIRED]
    if bare:
        raise BridgeError(
            f"no pattern covers {len(bare)} parameter(s), first: {', '.join(bare[:3])};"
            " end the list with ('.*', value)"
        )
    return unflatten(values)


def partition(tree: Tree, mask: Tree) -> tuple[dict[str, Any], dict[str, Any]]:
    """(leaves where mask is true, the others), each a nested dict without the rest."""
    chosen, others, flat_mask = {}, {}, flatten(mask)
    for path, leaf in flatten(tree).items():
        (chosen if flat_mask[path] else others)[path] = leaf
    return unflatten(chosen), unflatten(others)


def combine(first: Tree, second: Tree) -> dict[str, Any]:
    """Undo `partition`: both trees in one; where both have a leaf, the second's."""
    return unflatten(flatten(first) | flatten(second))


def difference(
    wanted: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]]
) -> list[str]:
    """Sentences on where two tables of path -> shape disagree, in order of `wanted`."""
    problems = []
    for path, shape in wanted.items():
        if path not in found:
            near = difflib.get_close_matches(path, list(found), n=1)
            hint = f" (nearest: {near[0]})" if near else ""
            problems.append(f"missing {path} {list(shape)}{hint}")
        elif tuple(found[path]) != tuple(shape):
            problems.append(f"{path} is {list(found[path])}, wanted {list(shape)}")
    return problems + [f"unused {path}" for path in found if path not in wanted]


def _compile(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise BridgeError(f"{pattern!r} is no regular expression: {error}") from None


def _nearest(pattern: str, paths: Sequence[str]) -> list[str]:
    # Compare letters only: what surrounds them in a pattern is regex syntax.
    plain = re.sub(r"[^\w/]", "", pattern)
    return difflib.get_close_matches(plain, paths, n=3, cutoff=0.0)
