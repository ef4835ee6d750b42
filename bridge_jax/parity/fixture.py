"""One recorded run of a reference: NAME.npz and NAME.json."""

import dataclasses
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bridge_jax.core.errors import BridgeError

KINDS = ("w", "in", "out", "grad")


@dataclasses.dataclass(frozen=True)
class Fixture:
    """Arrays by name, and what the json tells of them.

    Attributes:
      name: of the component.
      config: its sizes, as the json gives them.
      arrays: "w/<tensor>", "in/<case>/<name>", "out/<case>/<name>" and
        "grad/<case>/<tensor>" -> array.
    """

    name: str
    config: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]

    def __getitem__(self, name: str) -> np.ndarray:
        try:
            return self.arrays[name]
        except KeyError:
            raise BridgeError(f"fixture {self.name} has no array {name}") from None

    def __contains__(self, name: str) -> bool:
        return name in self.arrays

    def below(self, prefix: str) -> dict[str, np.ndarray]:
        """{rest of the name: array} of all names that start with `prefix`."""
        return {
            name.removeprefix(prefix): array
            for name, array in self.arrays.items()
            if name.startswith(prefix)
        }

    def cases(self, kind: str) -> list[str]:
        """The first parts of the names below `kind`, once each."""
        found = (name.split("/")[0] for name in self.below(f"{kind}/"))
        return list(dict.fromkeys(found))

    @property
    def weights(self) -> dict[str, np.ndarray]:
        """Reference tensor name -> array."""
        return self.below("w/")

    def sizes(self, **names: str) -> dict[str, Any]:
        """{ours: config[theirs]} for ours=theirs.

        Raises:
          BridgeError: the json lacks some of them.
        """
        missing = [name for name in names.values() if name not in self.config]
        if missing:
            raise BridgeError(
                f"fixture {self.name}: its config has no {', '.join(missing)}"
            )
        return {ours: self.config[theirs] for ours, theirs in names.items()}

    def given(self, **names: str) -> dict[str, Any]:
        """As `sizes`, of what the json tells; our defaults hold for the rest."""
        told = {ours: name for ours, name in names.items() if name in self.config}
        return self.sizes(**told)


def read(path: Path) -> Fixture:
    """The fixture of an .npz file and the .json beside it.

    Raises:
      BridgeError: either file is missing or damaged, or they tell different things.
    """
    about = _read_json(path.with_suffix(".json"))
    arrays = _read_arrays(path)
    problems = [f"{name} is of no known kind" for name in arrays if _unknown(name)]
    for name, told in about["arrays"].items():
        if name not in arrays:
            problems.append(f"{name} is in the json and not in the npz")
        elif list(arrays[name].shape) != told["shape"]:
            problems.append(
                f"{name} has shape {list(arrays[name].shape)}, the json says"
                f" {told['shape']}"
            )
    problems += [f"{n} is not in the json" for n in arrays if n not in about["arrays"]]
    if problems:
        more = f" and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise BridgeError(f"{path}: {'; '.join(problems[:5])}{more}")
    return Fixture(about["name"], about["config"], arrays)


def _unknown(name: str) -> bool:
    return name.split("/")[0] not in KINDS


def _read_json(path: Path) -> dict[str, Any]:
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BridgeError(f"cannot read {path}: {error.strerror}") from None
    except ValueError as error:
        raise BridgeError(f"{path} is no json: {error}") from None
    if not isinstance(about, dict) or not {"name", "config", "arrays"} <= about.keys():
        raise BridgeError(f"{path} needs the keys name, config and arrays")
    for key in ("config", "arrays"):
        if not isinstance(about[key], dict):
            raise BridgeError(f"{path}: {key} must be an object")
    return about


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except OSError as error:
        why = error.strerror or error
        raise BridgeError(f"cannot read {path}: {why}") from None
    except (ValueError, zipfile.BadZipFile, EOFError, AttributeError) as error:
        raise BridgeError(f"{path} is no npz of plain arrays: {error}") from None
