"""LatentUMM's stage-1 file as released: aligner, generator and re-encoder.

The file holds the tensors under "model_state_dict" and their sizes under "config"; a
plain state dict is read too, with sizes off its shapes. How many heads and how much
dropout there are stands in no shape: without a config they are those of the release.
A stage-2 file has the same model under a prefix. Layout: LatentUMM's training scripts.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bridge_jax.convert import torch_file
from bridge_jax.core.errors import BridgeError
from bridge_jax.core.weights import Rule
from bridge_jax.models.latentumm import config as config_lib
from bridge_jax.models.latentumm import weights

BASE = "stage1_shared_latent_model"
ON_DISK = (
    "stage1_shared_latent_model.pt (or stage2_stochastic_rollout_model.pt), or the path"
    " of such a file"
)
FILES = ("stage1_shared_latent_model.pt", "stage2_stochastic_rollout_model.pt")
IGNORED: dict[str, str] = {}
PART = "latentumm"
STATE, CONFIG = "model_state_dict", "config"
# Of a run on several devices, of stage 2's model around the first, of both.
PREFIXES = ("module.", "backbone.", "module.backbone.")
# ours -> theirs
_FIELDS = {
    "text": "text_dim",
    "image": "image_dim",
    "latent": "latent_dim",
    "hidden": "hidden_dim",
    "out": "output_dim",
    "layers": "transformer_layers",
    "heads": "transformer_heads",
    "dropout": "dropout",
}
# ours -> (tensor, which of its sides it is)
_SIDES = {
    "text": ("aligner.text_proj.weight", 1),
    "image": ("aligner.image_proj.weight", 1),
    "latent": ("aligner.single_to_latent.weight", 0),
    "hidden": ("aligner.single_to_latent.weight", 1),
    "out": ("generator.net.2.weight", 0),
}
_LAYER = re.compile(r"(?:.*\.)?aligner\.backbone\.layers\.(\d+)\..*")
_RELEASED = {"heads": 8, "dropout": 0.1}
_WIDEST = 1 << 16


def open_source(source: Path) -> torch_file.TorchFile:
    return torch_file.open_file(torch_file.find(source, FILES))


def read_about(source: Path) -> dict[str, Any]:
    """The sizes that the file tells of itself; none of a plain state dict."""
    told = open_source(source).beside.get(CONFIG)
    if not isinstance(told, Mapping):
        return {}
    return {name: told[name] for name in _FIELDS.values() if name in told}


def save(target: Path, arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]):
    state = {STATE: dict(arrays), CONFIG: dict(about)}
    torch_file.save(target / FILES[0], state)
    return FILES[0]


def read(about: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]):
    given: dict[str, Any] = {**_RELEASED, **dict(_of_shapes(shapes))}
    given |= {
        ours: about[theirs] for ours, theirs in _FIELDS.items() if theirs in about
    }
    odd = [
        f"{_FIELDS[name]} {value!r}"
        for name, value in given.items()
        if _odd(name, value)
    ]
    if odd:
        raise BridgeError(f"no LatentUMM has {', '.join(odd)}")
    unknown = [name for ours, (name, _) in _SIDES.items() if ours not in given]
    if unknown:
        raise BridgeError(
            f"no LatentUMM checkpoint: it lacks {', '.join(dict.fromkeys(unknown))}"
        )
    layers = _layers(shapes)
    if given.setdefault("layers", layers) != layers:
        raise BridgeError(
            f"the file's config says {given['layers']} layers, and its tensors are of"
            f" {layers}"
        )
    # 0 stands for the texts' width there, and for the pictures' here.
    given["out"] = given["out"] or given["text"]
    return {PART: {"family": "latentumm", **given}}


def rules(configs: Mapping[str, config_lib.Config]) -> dict[str, tuple[Rule, ...]]:
    return {PART: weights.rules(configs[PART])}


def spelled(name: str) -> tuple[str, ...]:
    """Other names that a tensor goes by."""
    return tuple(prefix + name for prefix in PREFIXES)


def write(configs: Mapping[str, config_lib.Config], about: Mapping[str, Any]):
    config = configs[PART]
    own = {theirs: getattr(config, ours) for ours, theirs in _FIELDS.items()}
    return dict(about) | own | {"output_dim": config.generated}


def _of_shapes(shapes: Mapping[str, tuple[int, ...]]) -> Iterator[tuple[str, int]]:
    for ours, (name, side) in _SIDES.items():
        found = next((one for one in (name, *spelled(name)) if one in shapes), None)
        if found is not None and len(shapes[found]) == 2:
            yield ours, shapes[found][side]


def _layers(shapes: Mapping[str, tuple[int, ...]]) -> int:
    """How many layers there are tensors of."""
    return len({m[1] for name in shapes if (m := _LAYER.fullmatch(name))})


def _odd(name: str, value: Any) -> bool:
    """Whether a field, of a file that nobody vouches for, is no value of it."""
    if name == "dropout":
        return not isinstance(value, float | int) or not 0 <= value < 1
    least = 0 if name == "out" else 1
    return type(value) is not int or not least <= value <= _WIDEST
