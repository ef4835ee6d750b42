"""What no file of the project may hold."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYTHON = [
    path
    for folder in ("bridge_jax", "configs", "tests")
    for path in sorted((ROOT / folder).rglob("*.py"))
]
TEXTS = [
    *PYTHON,
    *(ROOT / "launch").glob("*"),
    *(ROOT / ".ci").glob("*"),
    *(ROOT / name for name in ("README.md", "setup.py", ".gitignore")),
]
# Joined from halves, so that this file does not hold what it looks for.
PATHS = re.compile("|".join(["/wo" "rk/", "/ho" "me/[a-z]", "/ro" "ot/", "/Us" "ers/"]))
PROMISES = re.compile("TO" "DO|FIX" "ME|X" "XX|NotImplemented" "Error")
UNSAFE = {"eval", "exec", "compile", "__import__"}


def found(pattern: re.Pattern[str], files: list[Path]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in files
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if pattern.search(line)
    ]


def test_no_paths_of_a_machine():
    assert not found(PATHS, TEXTS)


def test_no_promises():
    assert not found(PROMISES, TEXTS)


def test_data_is_never_executed():
    """Nothing that turns a file's bytes into code: pickle, eval, yaml's loader."""
    problems = []
    for path in PYTHON:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                if node.func.id in UNSAFE:
                    problems.append(f"{path}: {node.func.id}()")
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                if not (isinstance(node.value, ast.Constant) and not node.value.value):
                    problems.append(f"{path}: allow_pickle")
            if isinstance(node, ast.Attribute) and node.attr in ("load", "full_load"):
                if isinstance(node.value, ast.Name) and node.value.id == "yaml":
                    problems.append(f"{path}: yaml.{node.attr}")
    problems += [
        f"{path}: {name}"
        for path in PYTHON
        for name in imported(path)
        if name in ("pickle", "cloudpickle", "dill", "marshal", "shelve")
    ]
    assert not problems


@pytest.mark.parametrize("package", ["torch", "diffusers", "torchvision", "tensorflow"])
def test_other_frameworks_are_for_tests_alone(package):
    users = [p for p in PYTHON if "tests" not in p.parts and package in imported(p)]
    assert not users


def imported(path: Path) -> set[str]:
    """Top-level names of everything a file imports."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module.split(".")[0])
    return names
