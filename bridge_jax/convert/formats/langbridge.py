"""LangBridge's adapter as LLaVA's trainer saves it: a Sequential of three layers.

Exported, it is that of a `llava` model or the adapter alone; imported, it is the part
`langbridge`, of which a run starts with

    --config.init_from.vlm/connector/adapter=FOLDER:langbridge
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bridge_jax.convert import torch_file
from bridge_jax.core.errors import BridgeError
from bridge_jax.core.weights import Rule
from bridge_jax.models.langbridge import weights

BASE = "mm_projector"
ON_DISK = "mm_projector.bin, or the path of such a file"
FILES = ("mm_projector.bin",)
IGNORED: dict[str, str] = {}
PART = "langbridge"
WITHIN = "connector/adapter"  # of a llava model
PREFIX = "model.mm_projector."
# Of a state dict saved by itself, and of a model with low-rank adapters around it.
PREFIXES = ("mm_projector.", "base_model.model.model.mm_projector.")
# ours -> (tensor, which of its sides it is)
_SIDES = {
    "vision": ("0.weight", 1),
    "hidden": ("2.weight", 0),
    "vocab": ("3.weight", 0),
}


def open_source(source: Path) -> torch_file.TorchFile:
    return torch_file.open_file(torch_file.find(source, FILES))


def read_about(source: Path) -> dict[str, Any]:
    """The file tells nothing but shapes."""
    del source
    return {}


def save(target: Path, arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]):
    del about
    torch_file.save(target / FILES[0], dict(arrays))
    return FILES[0]


def read(about: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]):
    del about
    given = {}
    for ours, (name, side) in _SIDES.items():
        names = (PREFIX + name, *spelled(PREFIX + name))
        found = next((one for one in names if one in shapes), None)
        if found is None or len(shapes[found]) != 2:
            raise BridgeError(
                f"it lacks a matrix {PREFIX}{name}: a LangBridge adapter has layers 0,"
                " 2 and 3 (an MLP connector, with 0 and 2, belongs to its decoder)"
            )
        given[ours] = shapes[found][side]
    return {PART: {"family": "langbridge", **given}}


def rules(configs: Mapping[str, Any]) -> dict[str, tuple[Rule, ...]]:
    if PART in configs:
        return {PART: weights.rules(configs[PART], PREFIX)}
    for name, config in configs.items():
        if getattr(config, "connector", None) == "langbridge":
            table = weights.rules(config.langbridge, PREFIX)
            return {
                name: tuple(
                    Rule(rule.reference, f"{WITHIN}/{rule.path}", rule.transform)
                    for rule in table
                )
            }
    raise KeyError(PART)


def spelled(name: str) -> tuple[str, ...]:
    """Other names that a tensor goes by."""
    return tuple(prefix + name.removeprefix(PREFIX) for prefix in PREFIXES)


def write(configs: Mapping[str, Any], about: Mapping[str, Any]):
    del configs
    return dict(about)
