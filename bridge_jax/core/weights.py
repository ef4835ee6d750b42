"""Weight-name tables: reference tensors <-> our parameter tree.

A model's `weights.rules(config)` lists one `Rule` a tensor. The same table imports
released checkpoints, exports them again bit for bit, and loads parity fixtures.
"""

import dataclasses
import difflib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from bridge_jax.core.errors import BridgeError


@dataclasses.dataclass(frozen=True)
class Rule:
    """One tensor: its reference name, our `/`-joined path, and how to turn it.

    `shape` is the reference shape; only `patch` and `squeeze0` need it, to undo
    themselves on export. `piece` (number, of) says that the tensor is one of several
    equal pieces, along their first axis, of what stands at the path.
    """

    reference: str
    path: str
    transform: str = "copy"
    shape: tuple[int, ...] | None = None
    piece: tuple[int, int] | None = None


def _swap(array: np.ndarray) -> np.ndarray:
    """The second half of the first axis, then the first."""
    return np.roll(array, len(array) // 2, axis=0)


def _undo_patch(array: np.ndarray, shape: tuple[int, ...] | None) -> np.ndarray:
    if shape is None or math.prod(shape[1:]) != array.shape[0]:
        raise ValueError(f"'patch' needs the reference shape to undo, got {shape}")
    return np.ascontiguousarray(array.T).reshape(shape)


# name -> (reference array -> ours, (our array, reference shape) -> reference array)
_Pair = tuple[
    Callable[[np.ndarray], np.ndarray],
    Callable[[np.ndarray, tuple[int, ...] | None], np.ndarray],
]
TRANSFORMS: dict[str, _Pair] = {
    "copy": (lambda a: a, lambda a, s: a),
    "transpose": (lambda a: a.T, lambda a, s: a.T),
    "conv2d": (lambda a: a.transpose(2, 3, 1, 0), lambda a, s: a.transpose(3, 2, 0, 1)),
    # A 1x1 convolution is a linear layer: [out, in, 1, 1] -> [in, out].
    "conv1x1": (lambda a: a[:, :, 0, 0].T, lambda a, s: a.T[:, :, None, None]),
    # A stride = kernel convolution is a linear layer on flattened patches.
    "patch": (lambda a: a.reshape(a.shape[0], -1).T, _undo_patch),
    "squeeze0": (lambda a: a[0], lambda a, s: a[None]),
    # Shift and scale the other way round.
    "swap": (_swap, lambda a, s: _swap(a)),
    "swap_transpose": (lambda a: _swap(a).T, lambda a, s: _swap(a.T)),
}


def by_path(rules: Sequence[Rule]) -> dict[str, list[Rule]]:
    """path -> its rules, pieces in order."""
    found: dict[str, list[Rule]] = {}
    for rule in rules:
        found.setdefault(rule.path, []).append(rule)
    return {
        path: sorted(several, key=lambda rule: rule.piece or (0, 1))
        for path, several in found.items()
    }


def turned(rules: Sequence[Rule], arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Ours of the reference tensors of one path, in the order of `by_path`."""
    whole = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
    return TRANSFORMS[rules[0].transform][0](whole)


def undone(rule: Rule, array: np.ndarray) -> np.ndarray:
    """The reference tensor of what stands at the rule's path."""
    whole = TRANSFORMS[rule.transform][1](array, rule.shape)
    if rule.piece is None:
        return whole
    number, of = rule.piece
    return np.split(whole, of)[number]


def to_flax(
    rules: Sequence[Rule],
    tensors: Mapping[str, np.ndarray],
    *,
    template: Mapping[str, Any] | None = None,
    strict: bool = True,
) -> dict[str, Any]:
    """Build our nested parameter dict from reference tensors.

    Args:
      rules: the model's table.
      tensors: reference name -> array; may be lazy.
      template: optional nested dict of arrays or ShapeDtypeStructs to check shapes
        against (unboxed).
      strict: tensors that no rule uses are an error.

    Raises:
      BridgeError: all missing, unused and misshapen tensors at once.
    """
    problems, flat = [], {}
    shapes = flatten(template) if template is not None else None
    for path, several in by_path(rules).items():
        missing = [one.reference for one in several if one.reference not in tensors]
        if missing:
            problems += [_missing(name, tensors) for name in missing]
            continue
        arrays = [np.asarray(tensors[one.reference]) for one in several]
        value = turned(several, arrays)
        if shapes is not None:
            problems += _check(several[0], value, shapes)
        flat[path] = _contiguous(value)
    if shapes is not None:
        known = {rule.path for rule in rules}
        problems += [f"no rule fills {path}" for path in shapes if path not in known]
    if strict:
        used = {rule.reference for rule in rules}
        problems += [f"unused: {name}" for name in tensors if name not in used]
    if problems:
        raise BridgeError(
            f"{len(problems)} weight problem(s): " + "; ".join(problems[:20])
        )
    return unflatten(flat)


def to_reference(
    rules: Sequence[Rule], params: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """Undo `to_flax`: reference name -> contiguous array, bit for bit.

    Raises:
      BridgeError: all paths the table names and `params` lacks, or the reverse.
    """
    flat = flatten(params)
    paths = {rule.path for rule in rules}
    problems = [f"missing: {path}" for path in paths if path not in flat]
    problems += [f"no rule exports {path}" for path in flat if path not in paths]
    if problems:
        raise BridgeError(
            f"{len(problems)} weight problem(s): " + "; ".join(sorted(problems)[:20])
        )
    return {
        rule.reference: _contiguous(undone(rule, np.asarray(flat[rule.path])))
        for rule in rules
    }


def _contiguous(array: np.ndarray) -> np.ndarray:
    """A C-ordered copy where needed; numpy's own function makes scalars vectors."""
    return np.ascontiguousarray(array).reshape(array.shape)


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dict -> {"a/b/c": leaf}, in insertion order."""
    flat = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{prefix}{key}/"))
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def unflatten(flat: Mapping[str, Any]) -> dict[str, Any]:
    """{"a/b/c": leaf} -> nested dict."""
    tree: dict[str, Any] = {}
    for path, value in flat.items():
        *parents, leaf = path.split("/")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[leaf] = value
    return tree


def _missing(name: str, tensors: Mapping[str, np.ndarray]) -> str:
    near = difflib.get_close_matches(name, list(tensors), n=1)
    return f"missing: {name}" + (f" (nearest: {near[0]})" if near else "")


def _check(rule: Rule, value: np.ndarray, shapes: Mapping[str, Any]) -> list[str]:
    if rule.path not in shapes:
        return [f"{rule.reference} -> {rule.path}, which the model does not have"]
    wanted = tuple(shapes[rule.path].shape)
    if tuple(value.shape) != wanted:
        return [f"{rule.reference}: shape {value.shape}, model wants {wanted}"]
    return []
