"""The house plan: who may import whom, read from the source."""

import ast
import functools
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "bridge_jax"

# A room imports itself and these. `data` needs the errors of `core`.
MAY_IMPORT = {
    "core": set(),
    "layers": {"core"},
    "sharding": {"core"},
    "diffusion": {"core"},
    "data": {"core"},
    "models": {"core", "layers"},
    "objectives": {"core", "diffusion", "models.view"},
    "checkpoint": {"core", "sharding"},
    "convert": {"core", "sharding", "models", "checkpoint"},
    # layers: low-rank adapters are a transform of the tree, and no model's affair.
    "train": {
        "core",
        "layers",
        "sharding",
        "models",
        "objectives",
        "data",
        "checkpoint",
    },
    # layers: decoding needs the key-value cache.
    "inference": {
        "core",
        "layers",
        "sharding",
        "models",
        "diffusion",
        "data",
        "checkpoint",
    },
    "eval": {"core", "data", "inference"},
    "parity": {"core", "layers", "data", "diffusion", "models", "objectives"},
    "plan": {
        "core",
        "layers",
        "models",
        "sharding",
        "data",
        "inference",
        "train",
    },
    # Above all it uses: jobs are whole runs and their evaluations.
    "lab": {
        "core",
        "models.replacement",
        "data",
        "eval",
        "inference",
        "plan",
        "train",
    },
    # data, inference, train: what a step costs is measured in a run's own.
    # Above all it measures; layers, objectives, diffusion: single models are timed;
    # plan: weights are filled in where their shapes would lie.
    "bench": {
        "core",
        "layers",
        "sharding",
        "models",
        "objectives",
        "diffusion",
        "checkpoint",
        "convert",
        "data",
        "inference",
        "plan",
        "retrieval",
        "train",
    },
    "retrieval": {"core", "data"},
    "inspection": {"core", "data", "eval.pages.page", "eval.pages.curves"},
    "serve": {"core", "data", "inference", "retrieval"},
    "cli": set(),  # filled below: everything
}
MAY_IMPORT["cli"] = set(MAY_IMPORT) | {""}

KNOW_FAMILIES = {"models.build", "models.bundle"}
MADE_OF_FAMILIES = {"llava"}  # a tower and a decoder, whichever they are


def name_of(path: Path) -> str:
    """ "models.mt5.config" of bridge_jax/models/mt5/config.py."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


@functools.cache
def graph() -> dict[str, set[str]]:
    """Module -> modules of ours that it imports, anywhere in the file."""
    modules = {name_of(path): path for path in PACKAGE.rglob("*.py")}
    return {name: imports(path, modules) for name, path in modules.items()}


def imports(path: Path, modules: dict[str, Path]) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            below = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [
                name
                if name.removeprefix("bridge_jax").lstrip(".") in modules
                else node.module
                for name in below
            ]
        else:
            continue
        for name in names:
            if name.split(".")[0] == "bridge_jax":
                found.add(name.removeprefix("bridge_jax").lstrip("."))
    return found


def room(name: str) -> str:
    return name.split(".")[0]


def is_allowed(name: str, target: str) -> bool:
    allowed = MAY_IMPORT[room(name)]
    return room(target) == room(name) or room(target) in allowed or target in allowed


def test_every_room_stands_in_the_plan():
    rooms = {room(name) for name in graph()} - {"", "__main__"}
    assert rooms <= set(MAY_IMPORT)


def test_imports_run_downhill():
    uphill = [
        f"{name} -> {target}"
        for name, targets in graph().items()
        if room(name) not in ("", "__main__")
        for target in targets
        if not is_allowed(name, target)
    ]
    assert not uphill


def test_families_do_not_know_each_other():
    known = []
    for name, targets in graph().items():
        parts = name.split(".")
        if parts[0] != "models" or name in KNOW_FAMILIES:
            continue
        if parts[1:2] and parts[1] in MADE_OF_FAMILIES:
            continue
        for target in targets:
            there = target.split(".")
            is_family = (
                there[0] == "models" and (PACKAGE / "/".join(there[:2])).is_dir()
            )
            if is_family and there[1:2] and there[1] != (parts[1:2] or [""])[0]:
                known.append(f"{name} -> {target}")
    assert not known


def test_no_circles():
    left = {name: set(targets) & set(graph()) for name, targets in graph().items()}
    while left:
        free = {name for name, targets in left.items() if not targets & set(left)}
        # A package's __init__ may gather its own modules.
        assert free, f"these import each other in a circle: {sorted(left)}"
        left = {name: targets for name, targets in left.items() if name not in free}


def test_configs_import_only_each_other():
    for path in (PACKAGE.parent / "configs").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                assert {a.name for a in node.names} <= {"ml_collections"}, path
            if isinstance(node, ast.ImportFrom):
                assert node.module in ("configs", "ml_collections"), path


@pytest.mark.parametrize(
    ("name", "target", "allowed"),
    [
        ("core.log", "sharding.mesh", False),
        ("models.view", "sharding.mesh", False),
        ("inference.engine", "train.state", False),
        ("objectives.sft", "models.view", True),
        ("objectives.sft", "models.mt5.model", False),
        ("eval.run", "train.stage1", False),
        ("serve.app", "models.build", False),
        ("cli.train", "train.stage1", True),
    ],
)
def test_the_plan_bites(name, target, allowed):
    assert is_allowed(name, target) == allowed
