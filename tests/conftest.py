"""Tests that bite: 8 simulated devices, strict shapes, warnings as errors."""

import os
import sys
import tempfile
from pathlib import Path

_CACHE = os.environ.get("BRIDGE_JAX_CACHE") or str(
    Path(tempfile.gettempdir()) / f"bridge_jax_tests_{os.getuid()}"
)
# By its older emitters, each in one piece, XLA compiles most programs in half the time.
_QUICK_TO_COMPILE = (
    "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1 "
    "--xla_cpu_opt_preset=CPU_OPT_PRESET_FAST_COMPILE"
)
# Before jax is imported, for this process and those that tests start. A machine that
# has an accelerator is tested on its CPU all the same. NPROC: see core/runtime.py.
# Few tests run long enough to repay the compiler's optimisations; one of tests/presets
# compares with a command that has them.
os.environ.update(
    JAX_PLATFORMS="cpu",
    NPROC="32",
    XLA_FLAGS=f"--xla_force_host_platform_device_count=8 {_QUICK_TO_COMPILE}",
    JAX_DISABLE_MOST_OPTIMIZATIONS="1",
    # No test reads which lines, those of pytest among them, a program comes from.
    JAX_TRACEBACK_IN_LOCATIONS_LIMIT="0",
    BRIDGE_JAX_CACHE=_CACHE,
    # Most programs of tests are one operation, compiled in many files and processes.
    JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS="0",
)

from bridge_jax.core import compiler

compiler.tune()  # as `bridge` does in the processes that tests start

import jax
import pytest

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_compilation_cache_dir", _CACHE)

sys.path.insert(0, str(Path(__file__).parent))  # toy, shape_checks

import shape_checks

shape_checks.install("bridge_jax")

from bridge_jax.core import collector

collector.run_rarely()

_LONG_FIRST = ("presets", "e2e", "house", "faults")

# Warnings of others that we cannot mend, each as narrow as it can be.
_TOLERATED = (
    "ignore:.*os.fork.*:RuntimeWarning",  # subprocess under jax's threads
    # A restore that failed leaves TensorStore reads behind, which end after the loop.
    "ignore:(?s).*Event loop is closed:pytest.PytestUnraisableExceptionWarning",
)


@pytest.fixture(scope="module", autouse=True)
def forgotten_programs():
    """Programs of one file are of no use to the next; together they fill gigabytes."""
    yield
    jax.clear_caches()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "parity: compares with another implementation, if it is installed"
    )
    config.addinivalue_line("filterwarnings", "error")
    for line in _TOLERATED:
        config.addinivalue_line("filterwarnings", line)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Rooms with long files first, so that no worker ends long before another."""

    def rank(item: pytest.Item) -> int:
        room = item.path.parent.name
        return _LONG_FIRST.index(room) if room in _LONG_FIRST else len(_LONG_FIRST)

    items.sort(key=rank)


def pytest_terminal_summary(terminalreporter) -> None:
    skipped = terminalreporter.stats.get("skipped", [])
    terminalreporter.write_line(f"skipped tests: {len(skipped)}")
    for report in skipped:
        reason = report.longrepr[2] if report.longrepr else ""
        terminalreporter.write_line(f"  {report.nodeid}: {reason}")
