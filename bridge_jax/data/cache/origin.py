"""What made a cache, in its cache.json; other weights and words make another cache."""

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bridge_jax.core import config as config_lib
from bridge_jax.core.errors import BridgeError

FILE = "cache.json"
VERSION = 1
# Kind of records -> the part of the model that makes them.
MADE_BY = {"captions": "vlm", "targets": "mt5", "latents": "vae", "states": "vlm"}
KINDS = tuple(MADE_BY)

# Fields of a part's description that change how it is computed, and not what.
_HOW = ("dtype", "param_dtype", "remat", "scan", "attention")
# Fields of a processor that say where it is, or that no kind rests on.
_WHERE = ("tokenizers", "bert_length")
_SHOWN = 12  # digits of a hash


@dataclasses.dataclass(frozen=True)
class Origin:
    """Attributes:
    weights: part -> hash of its weights as they were used.
    model: part -> its description; rounding of values (dtype) may differ.
    processor: fields of `processor.Config`.
    decoding: how captions were written.
    versions: of the packages that computed; for the record.
    """

    weights: Mapping[str, str]
    model: Mapping[str, Any]
    processor: Mapping[str, Any]
    decoding: Mapping[str, Any]
    versions: Mapping[str, str]

    def differences(self, other: "Origin") -> list[str]:
        """Sentences on what `other` does not share, of the parts that both have."""
        found = [
            f"its {part} has weights {self.weights[part][:_SHOWN]} and this one's are"
            f" {other.weights[part][:_SHOWN]}"
            for part in self.weights
            if other.weights.get(part, self.weights[part]) != self.weights[part]
        ]
        for part in set(self.model) & set(other.model):
            ours, theirs = (_what(one.model[part]) for one in (self, other))
            found += _unequal(f"{part}.", ours, theirs)
        ours, theirs = (
            {k: v for k, v in one.processor.items() if k not in _WHERE}
            for one in (self, other)
        )
        found += _unequal("processor.", ours, theirs)
        return found + _unequal("decoding.", self.decoding, other.decoding)

    def joined(self, other: "Origin") -> "Origin":
        """This with the parts of `other`, too."""
        return dataclasses.replace(
            other,
            weights=dict(self.weights) | dict(other.weights),
            model=dict(self.model) | dict(other.model),
        )


def read(folder: Path) -> Origin:
    """What made the cache in a folder. Raises BridgeError if there is none."""
    file = folder / FILE
    if not file.is_file():
        raise BridgeError(
            f"{folder} is no cache: it has no {FILE}; `bridge cache build --out"
            f" {folder}` makes one"
        )
    try:
        found = dict(json.loads(file.read_text()))
        version = found.pop("version")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BridgeError(f"cannot read {file}: {error!r}") from None
    if version != VERSION:
        raise BridgeError(f"{file} was written by another version; build it anew")
    return config_lib.to_dataclass(Origin, found, where=str(file))


def claim(folder: Path, mine: Origin) -> None:
    """Write cache.json, or add to it what is new.

    Raises:
      BridgeError: the folder holds a cache of other weights, or something else.
    """
    both = mine
    if (folder / FILE).exists():
        there = read(folder)
        problems = there.differences(mine)
        if problems:
            raise BridgeError(
                f"{folder} is another model's cache: {'; '.join(problems)}; name"
                " another folder"
            )
        both = there.joined(mine)
    elif folder.is_dir() and any(folder.iterdir()):
        raise BridgeError(f"{folder} holds other things; name a new or empty folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        staged = folder / f"{FILE}.{os.getpid()}.partial"
        told = {"version": VERSION} | config_lib.plain(both)
        staged.write_text(config_lib.to_json(told) + "\n")
        os.replace(staged, folder / FILE)
    except OSError as error:
        raise BridgeError(f"cannot write {folder}: {error.strerror}") from None


def _what(part: Any) -> Any:
    if not isinstance(part, Mapping):
        return part
    return {key: _what(value) for key, value in part.items() if key not in _HOW}


def _unequal(where: str, ours: Mapping, theirs: Mapping) -> list[str]:
    ours, theirs = config_lib.plain(ours), config_lib.plain(theirs)
    return [
        f"its {where}{key} is {ours.get(key)!r} and this one's {theirs.get(key)!r}"
        for key in dict.fromkeys([*ours, *theirs])
        if ours.get(key) != theirs.get(key)
    ]
