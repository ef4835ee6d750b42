"""From names of sizes to a bundle: the one place that knows every family.

A model is described by data, {part: {"family", "size", **overrides}}, in configs, and
by {part: {"family", **all fields}} in checkpoints; both come through `build`.
"""

import dataclasses
import importlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from bridge_jax.core import config as config_lib
from bridge_jax.core.errors import BridgeError
from bridge_jax.models import bundle as bundle_lib

# family -> (module class in model.py, example inputs that make every parameter)
_Example = Callable[[Any], dict[str, Any]]


def _zeros(shape: tuple[int, ...]) -> np.ndarray:
    """Of numpy, as all examples: naming a model must not take a device."""
    return np.zeros(shape, np.float32)


def _text(tokens: str) -> dict[str, Any]:
    return {tokens: np.zeros((1, 4), np.int32), "mask": np.ones((1, 4), np.int32)}


def _qwen2_vl(config: Any) -> dict[str, Any]:
    ids = np.zeros((1, 4), np.int32)
    return {
        "tokens": ids,
        "positions": np.zeros((3, 1, 4), np.int32),
        "segments": ids + 1,
    }


def _aligner(config: Any) -> dict[str, Any]:
    shape = (1, config.queries, config.d_model)
    return {
        "embeddings": _zeros(shape),
        "memory": _zeros((1, 4, config.d_model)),
        "replace": np.ones(shape[:2], bool),
    }


def _retrieval(config: Any) -> dict[str, Any]:
    states, mask = _zeros((2, 4, config.d_model)), np.ones((2, 4), np.int32)
    names = ("image_aligner", "image_states", "text_aligner", "text_states")
    return dict.fromkeys(names, states) | {"image_mask": mask, "text_mask": mask}


def _dit(config: Any) -> dict[str, Any]:
    side = config.input_size
    clip, t5 = config.clip_length, config.t5_length
    return {
        "latents": _zeros((1, side, side, config.in_channels)),
        "timesteps": _zeros((1,)),
        "clip_states": _zeros((1, clip, config.clip_dim)),
        "clip_mask": np.ones((1, clip), np.int32),
        "t5_states": _zeros((1, t5, config.t5_dim)),
        "t5_mask": np.ones((1, t5), np.int32),
    }


def _decoder_lm(config: Any) -> dict[str, Any]:
    ids = np.zeros((1, 4), np.int32)
    return {"tokens": ids, "positions": ids, "segments": ids + 1}


FAMILIES: dict[str, tuple[str, _Example]] = {
    "qwen2_vl": ("Qwen2VL", _qwen2_vl),
    "llava": ("Llava", _qwen2_vl),
    "decoder_lm": ("DecoderLM", _decoder_lm),
    "clip_vit": (
        "ClipViT",
        lambda c: {"images": _zeros((1, c.image, c.image, c.channels))},
    ),
    "langbridge": (
        "VocabularyAdapter",
        lambda c: {"features": _zeros((1, 1, c.vision))},
    ),
    "latentumm": (
        "LatentUMM",
        lambda c: {"text": _zeros((1, c.text)), "image": _zeros((1, c.image))},
    ),
    "latent_maps": ("Maps", lambda c: {"hidden": _zeros((1, c.hidden))}),
    "projector": ("Projector", lambda c: {"states": _zeros((1, 1, c.hidden))}),
    "bitransformer": ("BiTransformer", _aligner),
    "retrieval": ("RetrievalHeads", _retrieval),
    "mt5": ("Encoder", lambda c: _text("inputs")),
    "bert": ("Encoder", lambda c: _text("tokens")),
    "hunyuan_dit": ("HunyuanDiT", _dit),
    "autoencoder_kl": (
        "AutoencoderKL",
        lambda c: {"images": _zeros((1, 2 * c.factor, 2 * c.factor, 3))},
    ),
}


def build(parts: Mapping[str, Mapping[str, Any]]) -> bundle_lib.Bundle:
    """{"vlm": {"family": "qwen2_vl", "size": "tiny", **overrides}, ...} -> Bundle.

    Raises:
      BridgeError: every unknown family, size or field, with the nearest valid name.
    """
    made, problems = {}, []
    for name, given in parts.items():
        try:
            made[name] = _part(name, given)
        except BridgeError as error:
            problems.append(str(error))
    if problems:
        raise BridgeError("; ".join(problems))
    return bundle_lib.Bundle(made)


def in_dtype(parts: Mapping[str, Mapping[str, Any]], dtype: str) -> dict[str, Any]:
    """The description of a model whose weights and arithmetic are all of one dtype.

    Raises BridgeError as `build` does.
    """
    names = ("dtype", "param_dtype")

    def told(node: Any) -> Any:
        if not isinstance(node, Mapping):
            return node
        return {key: dtype if key in names else told(node[key]) for key in node}

    return told(build(parts).description())


def _part(name: str, given: Mapping[str, Any]) -> bundle_lib.Part:
    given = config_lib.plain(given)  # a ConfigDict's groups are no Mappings
    family = given.pop("family", None)
    if family not in FAMILIES:
        hint = config_lib.suggest(str(family), FAMILIES)
        raise BridgeError(f"model.{name}.family {family!r} is unknown{hint}")
    room = f"bridge_jax.models.{family}"
    sizes = importlib.import_module(f"{room}.config")
    start = _size(name, given.pop("size", None), sizes)
    fields = _flat_fields(start) if start is not None else {}
    config = config_lib.to_dataclass(
        sizes.Config, _merge(fields, given), where=f"model.{name}"
    )
    cls_name, example = FAMILIES[family]
    module = getattr(importlib.import_module(f"{room}.model"), cls_name)(config)
    return bundle_lib.Part(family, config, module, example(config))


def _size(name: str, size: str | None, sizes: Any) -> Any:
    if size is None:
        return None
    if size not in sizes.SIZES:
        hint = config_lib.suggest(size, sizes.SIZES)
        known = ", ".join(sizes.SIZES)
        raise BridgeError(f"model.{name}.size {size!r} is none of {known}{hint}")
    return sizes.SIZES[size]


def _flat_fields(config: Any) -> dict[str, Any]:
    return {
        field.name: _flat_fields(value) if dataclasses.is_dataclass(value) else value
        for field in dataclasses.fields(config)
        for value in [getattr(config, field.name)]
    }


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` on top of `base`, groups of keys merged."""
    merged = dict(base)
    for key, value in over.items():
        inner = merged.get(key)
        both = isinstance(inner, Mapping) and isinstance(value, Mapping)
        merged[key] = _merge(inner, value) if both else value
    return merged
