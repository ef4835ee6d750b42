"""What can befall a worker, by name, to order and in the window that was asked for.

A worker that dies says so in a file first: a fault that never struck proves nothing.
"""

import ctypes
import dataclasses
import functools
import os
import resource
import signal
import threading
import time
from pathlib import Path

import numpy as np


@dataclasses.dataclass
class Ills:
    """Those of one worker: name -> argument, as JSON holds them.

    pause: seconds that every batch takes to come.
    stuck_after: the data never comes after so many batches.
    poison: {"at": [step, ...], "value": number that the batch's targets become}; one
      row of this process's share is enough to spoil the step of all.
    die: {"at": name in POINTS or PHASES, "nth": at which of its times (1),
      "signal": what it sends itself (SIGKILL)}.
    full_after: after this step no file of the process takes another byte.
    unwritable_after: {"step": n, "path": below the work directory}.
    unopened_after: after this step the process can open no other file.
    """

    wanted: dict
    workdir: str

    def __post_init__(self):
        known = {"pause", "stuck_after", "poison", "die", "full_after"}
        known |= {"unwritable_after", "unopened_after"}
        unknown = self.wanted.keys() - known
        assert not unknown, unknown
        self.hooks = ()
        if die := self.wanted.get("die"):
            self._death = death = _Death(
                Path(f"{self.workdir}.died"),
                die["at"],
                die.get("nth", 1),
                die.get("signal", signal.SIGKILL),
            )
            if die["at"] == "step":
                self.hooks += (_Hook(death),)
            elif die["at"] in POINTS:
                POINTS[die["at"]](death)
            else:
                assert die["at"] in PHASES, die
        if step := self.wanted.get("full_after"):
            self.hooks += (_Once(step, _fill),)
        if fault := self.wanted.get("unwritable_after"):
            _drop_privilege()  # of this thread and those that it will start
            path = Path(self.workdir, fault["path"])
            mode = 0o555 if "." not in path.name else 0o444
            self.hooks += (_Once(fault["step"], lambda: path.chmod(mode)),)
        if step := self.wanted.get("unopened_after"):
            self.hooks += (_Once(step, _open_no_more),)

    def before(self, phase):
        """Called by the worker as it gets there."""
        if self.wanted.get("die", {}).get("at") == phase:
            self._death()

    def data(self, data):
        """The worker's batches, or what has become of them."""
        if count := self.wanted.get("stuck_after"):
            data = _Stuck(data, count)
        if seconds := self.wanted.get("pause"):
            data = _Slow(data, seconds)
        if poison := self.wanted.get("poison"):
            data = _Poisoned(data, set(poison["at"]), float(poison["value"]))
        return data


class _Death:
    """A call that is the end, or a signal, at its nth time."""

    def __init__(self, told, name, nth, number):
        self._told, self._name, self._left = told, name, nth
        self._number = number
        self._lock = threading.Lock()

    def __call__(self):
        with self._lock:
            self._left -= 1
            if self._left == 0:
                self._told.write_text(self._name)
                os.kill(os.getpid(), self._number)
                if self._number == signal.SIGKILL:
                    time.sleep(60)  # nothing else happens before it arrives


# --- places in a save, and around one ---------------------------------------------


def _after(owner, name, death):
    original = getattr(owner, name)

    @functools.wraps(original)
    def dying(*args, **kwargs):
        result = original(*args, **kwargs)
        death()
        return result

    setattr(owner, name, dying)


def _before(owner, name, death):
    original = getattr(owner, name)

    @functools.wraps(original)
    def dying(*args, **kwargs):
        death()
        return original(*args, **kwargs)

    setattr(owner, name, dying)


def _after_step_path(name, death):
    """After what Orbax does with the temporary folder of a step; items have theirs."""
    from orbax.checkpoint._src.path import atomicity

    owner = atomicity.AtomicRenameTemporaryPath
    original = getattr(owner, name)

    @functools.wraps(original)
    async def dying(self, *args, **kwargs):
        result = await original(self, *args, **kwargs)
        if self.get_final().name.isdigit():
            death()
        return result

    setattr(owner, name, dying)


def _folder(death):
    """A step's temporary folder is made and empty."""
    _after_step_path("create", death)


def _arrays(death):
    """The first file of an array is there, and not all of them."""
    from bridge_jax.checkpoint import hashed_arrays

    original = hashed_arrays.Handler.async_save

    def watch(folder):
        while not any(folder.glob("ocdbt.process_*/d/*")):
            time.sleep(0.0005)
        death()

    async def dying(self, directory, *args, **kwargs):
        folder = Path(getattr(directory, "path", directory))
        threading.Thread(target=watch, args=(folder,), daemon=True).start()
        return await original(self, directory, *args, **kwargs)

    hashed_arrays.Handler.async_save = dying


def _hashes(death):
    """A file has been hashed, and others have not."""
    from bridge_jax.checkpoint import manifest

    _after(manifest, "block_hash", death)


def _unlisted(death):
    """All files are there, and no manifest."""
    from bridge_jax.checkpoint import manifest

    _before(manifest, "complete", death)


def _listed(death):
    """The manifest is there, and the folder not yet renamed."""
    from bridge_jax.checkpoint import manifest

    _after(manifest, "complete", death)


def _renamed(death):
    """The step has just begun to count."""
    _after_step_path("finalize", death)


def _deleting(death):
    """Half the files of a step that is no longer kept are deleted."""
    from orbax.checkpoint._src.path import deleter

    original = deleter.PathDeleter.delete

    def dying(self, path, **kwargs):
        files = [file for file in sorted(Path(path).rglob("*")) if file.is_file()]
        for file in files[: len(files) // 2]:
            file.unlink()
        death()
        return original(self, path, **kwargs)

    deleter.PathDeleter.delete = dying


def _compiling(death):
    """The step is about to be compiled."""
    from bridge_jax.train import step

    _before(step.Step, "trace", death)


def _restoring(death):
    """The last checkpoint is read, and the run not told of it."""
    from bridge_jax.checkpoint import manager

    _after(manager.Checkpoints, "restore", death)


POINTS = {
    "folder": _folder,
    "arrays": _arrays,
    "hashes": _hashes,
    "unlisted": _unlisted,
    "listed": _listed,
    "renamed": _renamed,
    "deleting": _deleting,
    "compiling": _compiling,
    "restoring": _restoring,
}
SAVING = ("folder", "arrays", "hashes", "unlisted", "listed", "renamed", "deleting")
PHASES = ("start", "step", "end")


# --- what happens to data -----------------------------------------------------------


class _Data:
    def __init__(self, data):
        self._data = data

    def get_state(self):
        return self._data.get_state()

    def set_state(self, state):
        self._data.set_state(state)


class _Slow(_Data):
    def __init__(self, data, seconds):
        super().__init__(data)
        self._seconds = seconds

    def __next__(self):
        time.sleep(self._seconds)
        return next(self._data)


class _Stuck(_Data):
    def __init__(self, data, count):
        super().__init__(data)
        self._left = count

    def __next__(self):
        while not self._left:
            time.sleep(1)
        self._left -= 1
        return next(self._data)


class _Poisoned(_Data):
    def __init__(self, data, at, value):
        super().__init__(data)
        self._at, self._value, self._count = at, value, 0

    def __next__(self):
        self._count += 1
        batch = dict(next(self._data))
        if self._count in self._at:
            y = np.array(batch["y"])
            assert batch["mask"].any()  # a masked row would spoil nothing
            y[int(np.argmax(batch["mask"]))] = self._value
            batch["y"] = y
        return batch


# --- what happens to the disk -------------------------------------------------------


class _Hook:
    every = 1

    def __init__(self, call):
        self._call = call

    def __call__(self, step, state, figures):
        self._call()


class _Once:
    every = 1

    def __init__(self, step, call):
        self._step, self._call = step, call

    def __call__(self, step, state, figures):
        if step == self._step:
            self._call()


def _fill():
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, most))


def _open_no_more():
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, most))


def _drop_privilege():
    """Let modes of files hold for root, too, as they do for others."""
    if os.geteuid():
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # version 3, this thread
    sets = (ctypes.c_uint32 * 6)()
    assert libc.capset(header, sets) == 0, os.strerror(ctypes.get_errno())
