"""Checkpoints of a run: WORKDIR/checkpoints/<step>, written by Orbax.

Each step holds four items: `params` and `ema` (weights, so that inference reads no
optimiser), `rest` (optimiser, step, seed), `data` (iterator, a file a process) and
`about` (model config and resolved config). A step counts once its folder is renamed
into place, so a killed save leaves the previous one untouched. What its files held is
written down before (see `checkpoint/manifest.py`) and checked by everything that reads.
"""

import contextlib
import dataclasses
import json
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers

from bridge_jax.checkpoint import hashed_arrays, manifest, position, verified
from bridge_jax.checkpoint.folders import FOLDER
from bridge_jax.core import config as config_lib
from bridge_jax.core import log, trees
from bridge_jax.core.errors import BridgeError
from bridge_jax.core.types import Params

_SHOWN = 5  # problems named in one message


@dataclasses.dataclass(frozen=True)
class About:
    """What a checkpoint says of itself.

    Attributes:
      model: config of the model, as JSON's types; restoring demands the same.
      config: the whole resolved config of the run.
    """

    model: Mapping[str, Any]
    config: Mapping[str, Any]


class Checkpoints:
    """The checkpoints of one work directory. Saves in the background."""

    def __init__(self, workdir: str | Path, keep: int = 3, keep_every: int = 0):
        """keep: how many of the latest; keep_every: also every so many steps."""
        self.directory = Path(workdir).resolve() / FOLDER
        policies: list[Any] = [checkpoint_managers.LatestN(keep)]
        if keep_every:
            policies.append(checkpoint_managers.EveryNSteps(keep_every))
        options = ocp.CheckpointManagerOptions(
            preservation_policy=checkpoint_managers.AnyPreservationPolicy(policies),
            create=True,
            async_options=ocp.AsyncOptions(
                post_finalization_callback=self._complete,
                # In the background, a folder that cannot be made hangs the save.
                create_directories_asynchronously=False,
            ),
        )
        handlers = {
            name: hashed_arrays.Handler() for name in ("params", "ema", "rest")
        } | {
            "data": position.Handler(),
            "about": ocp.JsonCheckpointHandler(),
        }
        self._manager = ocp.CheckpointManager(
            self.directory, options=options, item_handlers=handlers
        )
        self._steps = verified.Steps(self.directory)
        self._saving = 0

    def latest(self) -> int | None:
        """The newest complete step, whole or damaged."""
        return self._manager.latest_step()

    def _complete(self) -> None:
        """Called in the background when all files are written and none counts yet."""
        folders = [self.directory / str(self._saving)]
        folders += self.directory.glob(f"{self._saving}.orbax-checkpoint-tmp*")
        for folder in folders:
            if folder.is_dir():
                manifest.complete(folder)

    def save(
        self,
        step: int,
        params: Params,
        ema: Params | None,
        rest: Any,
        data: position.Iterator,
        about: About,
    ) -> None:
        """Start saving `step`; returns once the arrays are copied off the devices.

        Raises:
          BridgeError: this save, or the previous one in the background, failed.
        """
        items = {
            "params": hashed_arrays.Save(params),
            "rest": hashed_arrays.Save(rest),
            "data": position.Save(data),
            "about": ocp.args.JsonSave(config_lib.plain(about)),
        }
        if ema is not None:
            items["ema"] = hashed_arrays.Save(ema)
        with _loud(f"cannot save step {step} in {self.directory}"):
            self._manager.wait_until_finished()
            self._saving = step
            self._steps.forget(step)
            self._manager.save(step, args=ocp.args.Composite(**items), force=True)

    def restore(
        self,
        params: Params,
        ema: Params | None,
        rest: Any,
        data: position.Iterator | None,
        about: About,
        step: int | None = None,
    ) -> tuple[int, Params, Params | None, Any]:
        """(step, params, ema, rest) of the newest whole step, or of the given one.

        Newer steps that are damaged are told, renamed to <step>.damaged and kept.

        Args:
          params, ema, rest: trees of ShapeDtypeStruct with the shardings wanted.
          data: the iterator to move to the position stored, or None.
          about: its model config must be the stored one.

        Raises:
          BridgeError: no checkpoint, or none that is whole; another model config or
            shapes, with the first few differences.
        """
        step = self._step(step)
        with _loud(f"cannot set a damaged step aside in {self.directory}"):
            self._set_aside_after(step)
        self._check_model(step, about.model)
        items = {
            "params": hashed_arrays.Restore(params),
            "rest": hashed_arrays.Restore(rest),
        }
        if data is not None:
            items["data"] = position.Restore(data)
        if ema is not None:
            items["ema"] = hashed_arrays.Restore(ema)
        self._check_shapes(step, {"params": params, "ema": ema, "rest": rest})
        with _loud(f"cannot restore step {step} of {self.directory}"):
            found = self._manager.restore(step, args=ocp.args.Composite(**items))
        return step, found["params"], found.get("ema"), found["rest"]

    def wait(self) -> None:
        """Until the save in flight is complete; raises BridgeError if it failed."""
        with _loud(f"cannot finish saving in {self.directory}"):
            self._manager.wait_until_finished()

    def close(self) -> None:
        """Waits as `wait` does."""
        with _loud(f"cannot finish saving in {self.directory}"):
            self._manager.close()

    def _set_aside_after(self, step: int) -> None:
        newer = [other for other in self._manager.all_steps() if other > step]
        for damaged in newer:
            if self._steps.fault(damaged):
                kept = self._steps.set_aside(damaged)
                log.say(f"the damaged step {damaged} is kept as {kept}")
        if newer:
            self._manager.reload()

    def about(self, step: int | None = None) -> About:
        """Model config and resolved config of the newest whole or the given step."""
        step = self._step(step)
        items = ocp.args.Composite(about=ocp.args.JsonRestore())
        with _loud(f"cannot read step {step} of {self.directory}"):
            return About(**self._manager.restore(step, args=items)["about"])

    def weights(
        self, step: int | None = None, *, ema: bool = True, like: Params | None = None
    ) -> Params:
        """Weights alone, for inference: the averaged ones where there are any.

        Args:
          like: tree of ShapeDtypeStruct (with shardings) of all parameters; without
            it the arrays come back whole on the first device.
        """
        step = self._step(step)
        params = self._item(step, "params", like)
        if not ema or not (self.directory / str(step) / "ema").is_dir():
            return params
        part = None
        if like is not None:
            kept = trees.flatten(self._shapes(step, "ema"))
            flat = trees.flatten(like)
            part = trees.unflatten({path: flat[path] for path in kept if path in flat})
        return trees.combine(params, self._item(step, "ema", part))

    def _item(self, step: int, name: str, like: Params | None) -> Params:
        if like is None:
            device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
            like = jax.tree.map(
                lambda leaf: jax.ShapeDtypeStruct(
                    leaf.shape, leaf.dtype, sharding=device
                ),
                self._shapes(step, name),
            )
        self._check_shapes(step, {name: like})
        items = ocp.args.Composite(**{name: hashed_arrays.Restore(like)})
        with _loud(f"cannot read {name} of step {step} of {self.directory}"):
            return self._manager.restore(step, args=items)[name]

    def _step(self, step: int | None) -> int:
        steps = self._manager.all_steps()
        if not steps:
            raise BridgeError(f"no checkpoint in {self.directory}")
        if step is not None and step not in steps:
            raise BridgeError(
                f"no checkpoint of step {step} in {self.directory}; there are"
                f" {', '.join(map(str, sorted(steps)))}"
            )
        if step is None:
            return self._steps.newest_whole(steps)
        if fault := self._steps.fault(step):
            others = ", ".join(str(one) for one in sorted(steps) if one != step)
            raise BridgeError(
                f"step {step} in {self.directory} is damaged, {fault}; there are also"
                f" {others or 'no other steps'}"
            )
        return step

    def _shapes(self, step: int, name: str) -> Any:
        """Tree of the stored arrays' shape and dtype."""
        folder = self.directory / str(step) / name
        with _loud(f"cannot read {folder}"), ocp.StandardCheckpointer() as reader:
            found = reader.metadata(folder).item_metadata
        if found is None:
            raise BridgeError(f"{folder} is damaged: it does not tell its arrays")
        return found.tree

    def _check_shapes(self, step: int, wanted: Mapping[str, Any]) -> None:
        problems = []
        for name, tree in wanted.items():
            folder = self.directory / str(step) / name
            if tree is None:
                continue
            if not folder.is_dir():
                problems.append(f"it has no {name}")
                continue
            problems += [
                f"{name}: {text}"
                for text in trees.difference(
                    _paths(tree), _paths(self._shapes(step, name))
                )
            ]
        if problems:
            raise BridgeError(
                f"step {step} of {self.directory} holds another model or optimiser"
                f" ({len(problems)} difference(s)): {'; '.join(problems[:_SHOWN])}"
            )

    def _check_model(self, step: int, model: Mapping[str, Any]) -> None:
        stored = trees.flatten(self.about(step).model)
        mine = trees.flatten(json.loads(json.dumps(config_lib.plain(model))))
        problems = [
            f"{path} is {stored.get(path)!r} there, {mine.get(path)!r} here"
            for path in sorted(stored.keys() | mine.keys())
            if stored.get(path) != mine.get(path)
        ]
        if problems:
            raise BridgeError(
                f"step {step} of {self.directory} is of another model config:"
                f" {'; '.join(problems[:_SHOWN])}"
            )


def open_existing(workdir: str | Path) -> Checkpoints:
    """The checkpoints of a finished or interrupted run, to read.

    Raises:
      BridgeError: the folder is missing or holds no checkpoint.
    """
    if not (Path(workdir) / FOLDER).is_dir():
        raise BridgeError(f"no checkpoints in {workdir}: is it a work directory?")
    return Checkpoints(workdir)


@contextlib.contextmanager
def _loud(what: str) -> Generator[None, None, None]:
    """Turns whatever Orbax raises into one BridgeError that starts with `what`."""
    try:
        yield
    except BridgeError:
        raise
    except Exception as error:
        if isinstance(error, jax.errors.JaxRuntimeError) and jax.process_count() > 1:
            raise  # another process is gone, which is no fault of the folder
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise BridgeError(f"{what}: {first}") from error


def _paths(tree: Any) -> dict[str, tuple[int, ...]]:
    """Path -> shape of every array below a tree of dicts, tuples and dataclasses."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {_join(path): tuple(leaf.shape) for path, leaf in leaves}


def _join(path: Any) -> str:
    return "/".join(
        str(getattr(key, "key", getattr(key, "name", getattr(key, "idx", key))))
        for key in path
    )
