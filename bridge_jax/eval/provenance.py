"""What a figure was measured with: weights, types, versions, device, data."""

import hashlib
import importlib.metadata
import platform
from pathlib import Path
from typing import Any

import jax

from bridge_jax.core import config as config_lib
from bridge_jax.core import weights_hash as weights_hash_lib
from bridge_jax.eval.system import System

# What another run over the same weights may have otherwise.
OF_A_RUN = ("dtype", "matmul_precision", "versions", "device")
_PACKAGES = ("bridge_jax", "jax", "jaxlib", "flax", "numpy", "pillow")


def of(model: System) -> dict[str, Any]:
    """weights (a hash), model (its config), dtype, precision, versions and device."""
    return {
        "weights": weights_hash(model.params),
        "model": config_lib.plain(model.engine.bundle.description()),
        "dtype": dtype(model.params),
        "matmul_precision": jax.config.jax_default_matmul_precision or "default",
        "versions": versions(),
        "device": f"{jax.device_count()} x {jax.devices()[0].device_kind}",
    }


def weights_hash(params: Any) -> str:
    """sha256 over the names, types and values of all parameters."""
    return weights_hash_lib.of(params)


def dtype(params: Any) -> str:
    """The type of the parameters, or types: "bfloat16, float32"."""
    return ", ".join(sorted({str(leaf.dtype) for leaf in jax.tree.leaves(params)}))


def versions() -> dict[str, str]:
    """Of Python and of the packages that compute."""
    found = {name: _version(name) for name in _PACKAGES}
    return {"python": platform.python_version()} | found


def data_hash(path: Path) -> str:
    """sha256 of a file; of a folder, over the names and hashes of its files."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    digest = hashlib.sha256()
    for name in sorted(p.relative_to(path).as_posix() for p in path.rglob("*")):
        if (path / name).is_file():
            digest.update(f"{name} {data_hash(path / name)}\n".encode())
    return digest.hexdigest()


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:  # used from a checkout
        return "not installed"
