"""The global switches: devices, processes, compilation cache, interruption.

Three come before jax is imported: `collector.run_rarely`, `memory.keep` and
`compiler.tune`.

Libraries read no environment and set no jax option; entry points call `start` once.
"""

import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from bridge_jax.core import unread
from bridge_jax.core.errors import BridgeError

EXIT_BAD_INPUT = 2  # never worth a restart
EXIT_INTERRUPTED = 42  # saved on a signal: xpk and our launchers start again
EXIT_ABORTED = 134  # jax, when another process of the run is gone: worth a restart
EXIT_HUNG = 200  # no step for `hang_seconds`: worth a restart

# jax's own variable: programs that take less to compile are not kept.
SHORTEST = "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"


class Interrupted(SystemExit):
    """A signal asked the run to stop, and its state is saved. Exits with 42."""

    def __init__(self, step: int):
        super().__init__(EXIT_INTERRUPTED)
        self.step = step


def start(environ: Mapping[str, str] = os.environ) -> None:
    """Set up jax for this process; call before anything touches a device.

    Reads BRIDGE_JAX_CACHE (folder of compiled programs, "" for none; by default
    below the user's cache folder), jax's own variable for the programs that it keeps
    (SHORTEST; without it those of half a second and more), BRIDGE_JAX_DISTRIBUTED
    ("auto" on a pod that describes itself, or "host:port,processes,index"; unset for
    one process), BRIDGE_JAX_HEARTBEAT (seconds after which a silent process counts as
    lost and all others abort; 100 by default) and BRIDGE_JAX_STARTUP (seconds that all
    processes may take to appear; 300 by default).

    Exits with EXIT_ABORTED if not all processes appear.
    """
    # Orbax reports every stage of a save; a run says one line where it matters.
    logging.getLogger("absl").setLevel(logging.ERROR)
    cache = environ.get("BRIDGE_JAX_CACHE")
    if cache is None:
        home = environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        cache = str(Path(home) / "bridge_jax" / "xla")
    if cache:
        jax.config.update("jax_compilation_cache_dir", cache)
        if SHORTEST not in environ:
            jax.config.update(SHORTEST.lower(), 0.5)
    seconds = {
        "heartbeat_timeout_seconds": _seconds(environ, "BRIDGE_JAX_HEARTBEAT", 100),
        "initialization_timeout": _seconds(environ, "BRIDGE_JAX_STARTUP", 300),
    }
    if description := environ.get("BRIDGE_JAX_DISTRIBUTED", ""):
        _join(description, seconds)


def simulated_environment(
    devices: int, environ: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """Environment in which a new Python process sees `devices` CPU devices."""
    flags = environ.get("XLA_FLAGS", "")
    flag = f"--xla_force_host_platform_device_count={devices}"
    # NPROC sizes XLA's thread pool. With a pool of the machine's few cores, programs
    # that wait for each other's collectives starve, and the run hangs for ever.
    return dict(environ) | {
        "JAX_PLATFORMS": "cpu",
        "NPROC": "32",
        "XLA_FLAGS": f"{flags} {flag}".strip(),
    }


@contextlib.contextmanager
def interruption() -> Iterator[Callable[[int], bool]]:
    """Within, SIGTERM and a closed terminal (SIGHUP) no longer kill.

    `asked(step)` tells whether one has arrived. With several processes, it is SIGTERM
    alone, and all answer yes at the same step.
    """
    if jax.process_count() > 1:
        # jax.distributed has its own handler, which a second one would disarm.
        yield multihost_utils.reached_preemption_sync_point
        return
    if threading.current_thread() is not threading.main_thread():
        yield lambda step: False  # Python delivers signals to the main thread only
        return
    arrived = threading.Event()
    with _told_to_end(arrived.set):
        yield lambda step: arrived.is_set()


@contextlib.contextmanager
def ended_by_signal() -> Iterator[None]:
    """Within, SIGTERM and a closed terminal raise SystemExit (42) here.

    For who has others to take along. Call in the main thread.
    """

    def leave() -> None:
        raise SystemExit(EXIT_INTERRUPTED)

    with _told_to_end(leave):
        yield


@contextlib.contextmanager
def _told_to_end(then: Callable[[], None]) -> Iterator[None]:
    """Within, `then` is called at SIGTERM, and at SIGHUP unless it is not minded."""

    def handle(number: int, _: object) -> None:
        if number == signal.SIGHUP:
            unread.silence()  # the last words of a run must not end it
        then()

    numbers = [signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup has it
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def lost_processes() -> Iterator[None]:
    """Within, an error in one of several processes ends that process at once.

    Python's own way out, and a save in the background, would wait for the others. An
    error of jax exits with EXIT_ABORTED: it almost always means that another process is
    gone. Memory that does not suffice is no such error: it would come again. What the
    user has to mend, such as a full disk, is told and exits with EXIT_BAD_INPUT.
    """
    try:
        yield
    except BridgeError as error:
        if jax.process_count() == 1:
            raise
        print(f"bridge: {' '.join(str(error).split())}", file=sys.stderr, flush=True)
        os._exit(EXIT_BAD_INPUT)
    except jax.errors.JaxRuntimeError as error:
        if jax.process_count() == 1 or "RESOURCE_EXHAUSTED" in str(error):
            raise
        first = str(error).strip().splitlines()[0]
        print(f"lost touch with another process: {first}", file=sys.stderr, flush=True)
        os._exit(EXIT_ABORTED)


def total(number: int) -> int:
    """The sum of every process's number; returns once all have given theirs."""
    if jax.process_count() == 1:
        return number
    return int(np.sum(multihost_utils.process_allgather(np.int32(number))))


def any_process(flag: bool) -> bool:
    """Whether any process says so; returns once all have answered."""
    return total(flag) > 0


def need_one_process(what: str, way_out: str) -> None:
    """Raises BridgeError if this is one of several processes of a run."""
    if jax.process_count() > 1:
        raise BridgeError(
            f"{what} runs in one process, and this is one of {jax.process_count()}: use"
            f" {way_out}"
        )


def whole(leaf: jax.Array | np.ndarray) -> np.ndarray:
    """An array of which this process may hold a share only; all must call."""
    if isinstance(leaf, jax.Array) and not leaf.is_fully_addressable:
        return multihost_utils.process_allgather(leaf, tiled=True)
    return np.asarray(jax.device_get(leaf))


def _seconds(environ: Mapping[str, str], name: str, default: int) -> int:
    given = environ.get(name, str(default))
    if not given.isdigit() or not int(given):
        raise BridgeError(f"{name}={given!r}: give whole seconds")
    return int(given)


def _join(description: str, seconds: Mapping[str, int]) -> None:
    place: tuple[Any, ...] = ()
    if description != "auto":
        try:
            address, processes, index = description.split(",")
            place = address, int(processes), int(index)
        except ValueError:
            raise BridgeError(
                f"BRIDGE_JAX_DISTRIBUTED={description!r}: must be 'auto' or"
                " 'host:port,processes,index'"
            ) from None
    try:
        jax.distributed.initialize(*place, **seconds)
    except jax.errors.JaxRuntimeError as error:
        first = str(error).strip().splitlines()[0]
        print(f"not all processes appeared: {first}", file=sys.stderr, flush=True)
        os._exit(EXIT_ABORTED)
