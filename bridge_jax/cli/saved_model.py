"""A saved model, as the commands that rearrange weights see it."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bridge_jax.checkpoint import folders, locate, manager, msgpack_file, weights_file
from bridge_jax.core import config as config_lib
from bridge_jax.core import trees
from bridge_jax.core.errors import BridgeError
from bridge_jax.core.types import Params
from bridge_jax.data import processor as processor_lib


@dataclasses.dataclass(frozen=True)
class SavedModel:
    """Parameters {part: tree} as they are stored, and what describes them.

    Attributes:
      model: part -> {"family", **fields}.
      processor: how text and pictures become arrays.
    """

    params: Params
    model: Mapping[str, Any]
    processor: Mapping[str, Any]

    def below(self, path: str) -> "SavedModel":
        """Only the parameters below `path` ("dit", "vlm/llm"), with its part's config.

        Raises:
          BridgeError: there are none.
        """
        flat = trees.flatten(self.params)
        kept = {p: a for p, a in flat.items() if p.startswith(path.rstrip("/") + "/")}
        if not kept:
            raise BridgeError(
                f"there is nothing below {path!r}; parts: {', '.join(self.params)}"
            )
        part = path.split("/")[0]
        return SavedModel(
            trees.unflatten(kept), {part: self.model[part]}, self.processor
        )

    def merged(self, other: "SavedModel") -> "SavedModel":
        """Both together. Raises BridgeError where they contradict each other."""
        twice = trees.flatten(self.params).keys() & trees.flatten(other.params).keys()
        if twice:
            raise BridgeError(f"{min(twice)} is given twice; give each part once")
        for name in self.model.keys() & other.model.keys():
            _same(f"model.{name}", self.model[name], other.model[name])
        _same("processor", _whole(self.processor), _whole(other.processor))
        return SavedModel(
            trees.combine(self.params, other.params),
            {**self.model, **other.model},
            self.processor,
        )

    def stored_as(self, dtypes: Mapping[str, str]) -> "SavedModel":
        """Floating parameters in the type of their part; "" is every other part's.

        Raises:
          BridgeError: a part that is not there.
        """
        unknown = [name for name in dtypes if name and name not in self.params]
        if unknown:
            hint = config_lib.suggest(unknown[0], self.params)
            raise BridgeError(f"--dtype: there is no part {unknown[0]!r}{hint}")

        def cast(path: str, array: np.ndarray) -> np.ndarray:
            wanted = dtypes.get(path.split("/")[0], dtypes.get(""))
            return weights_file.as_dtype(array, wanted)

        params = trees.map_paths(cast, self.params)
        return dataclasses.replace(self, params=params)

    def save(self, folder: Path, onto: str | None = None, packed: bool = False) -> str:
        """Write it where `bridge_jax.load` finds it; one line that says what.

        `onto`: name of the folder inside that completes it, see `weights_file`.
        `packed`: as one msgpack file, which is for other programs.
        """
        about = {"model": self.model, "processor": self.processor}
        if onto is not None:
            about["base"] = onto
        write = msgpack_file.save if packed else weights_file.save
        write(folder, self.params, about)
        flat = trees.flatten(self.params)
        size = sum(array.nbytes for array in flat.values()) / 2**20
        return (
            f"{folder}: {', '.join(self.params)}; {len(flat)} tensors, {size:.1f} MiB"
        )


def read(source: str, step: int | None = None) -> SavedModel:
    """The model that `source` names, see `checkpoint.locate`.

    Args:
      step: a checkpoint of a work directory instead of its finished weights. A run
        that is not finished has only those, and without a step gives its latest.

    Raises:
      BridgeError: there is none, or it is damaged.
    """
    path = Path(source)
    unfinished = (path / folders.FOLDER).is_dir() and not any(
        (folder / weights_file.WEIGHTS).is_file() for folder in (path, path / "weights")
    )
    if step is not None or unfinished:
        return _read_checkpoint(path, step)
    folder = locate.locate(source)
    if folder.is_file():
        folder = folder.parent
    about = weights_file.read_config(folder)
    _check_about(about, folder)
    params = weights_file.load(folder, dtype=None)
    return SavedModel(params, about["model"], about["processor"])


def home(source: str) -> Path:
    """The folder that what lies beside its weights is named from."""
    try:
        found = locate.locate(source)
    except BridgeError:  # a run that has checkpoints alone
        return Path(source)
    return found if found.is_dir() else found.parent


def read_packed(source: str) -> SavedModel:
    """The model of a folder with flax_model.msgpack. Raises BridgeError likewise."""
    folder = Path(source)
    params = msgpack_file.load(folder)
    about = weights_file.read_config(folder)
    _check_about(about, folder)
    return SavedModel(params, about["model"], about["processor"])


def _read_checkpoint(workdir: Path, step: int | None) -> SavedModel:
    checkpoints = manager.open_existing(workdir)
    try:
        about = checkpoints.about(step)
        params = trees.map_paths(
            lambda _, leaf: np.asarray(leaf), checkpoints.weights(step)
        )
    finally:
        checkpoints.close()
    processor = about.config.get("processor", {})
    return SavedModel(params, about.model, processor)


def _check_about(about: Mapping[str, Any], folder: Path) -> None:
    missing = [name for name in ("model", "processor") if name not in about]
    if missing:
        raise BridgeError(
            f"{folder / weights_file.CONFIG} has no {' and no '.join(missing)}: it was"
            " not written by bridge"
        )


def _whole(processor: Mapping[str, Any]) -> dict[str, Any]:
    """With what it leaves out: older weights know fewer fields."""
    given = config_lib.to_dataclass(processor_lib.Config, processor, "processor")
    return config_lib.plain(given)


def _same(what: str, first: Mapping[str, Any], second: Mapping[str, Any]) -> None:
    one, other = trees.flatten(first), trees.flatten(second)
    different = [k for k in {**one, **other} if one.get(k) != other.get(k)]
    if different:
        key = different[0]
        raise BridgeError(
            f"{what} of the parts differs: {key} is {one.get(key)!r} and"
            f" {other.get(key)!r}"
        )
