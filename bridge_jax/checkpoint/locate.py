"""Which folder a user means: a weights folder, a work directory or a preset's name."""

from pathlib import Path

from bridge_jax.checkpoint import weights_file
from bridge_jax.core.config import suggest
from bridge_jax.core.errors import BridgeError

PRESETS = Path(__file__).resolve().parent.parent / "presets"


def locate(name: str | Path) -> Path:
    """The weights that `name` stands for.

    In this order: a .safetensors file; a folder with model.safetensors; a work
    directory with `weights/`; a preset that ships with the package ("shapes-tiny",
    "shapes-tiny/stage0").

    Raises:
      BridgeError: nothing of that name, or a folder without weights.
    """
    path = Path(name)
    if path.is_file():
        return path
    for folder in (path, path / "weights", PRESETS / name):
        if (folder / weights_file.WEIGHTS).is_file():
            return folder
    if path.is_dir():
        raise BridgeError(
            f"{path} holds no {weights_file.WEIGHTS}: give a folder with weights, a"
            " finished work directory, or a preset"
        )
    presets = known()
    raise BridgeError(
        f"no weights {str(name)!r}{suggest(str(name), presets)}: neither a folder nor"
        f" one of the presets {', '.join(presets) or '(none installed)'}"
    )


def known() -> list[str]:
    """Names of the presets in the package."""
    files = PRESETS.glob(f"**/{weights_file.WEIGHTS}")
    return sorted(str(file.parent.relative_to(PRESETS)) for file in files)
