"""What no file of the project may hold."""

import ast
import re
import subprocess
import sys
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
    *(path for path in (ROOT / "launch").rglob("*") if path.is_file()),
    *(ROOT / ".ci").glob("*"),
    *(ROOT / name for name in ("README.md", "setup.py", ".gitignore")),
]
# Written so that they do not match themselves.
PATHS = re.compile(r"/(work|root)/|/(home|Users)/[a-z]")
PROMISES = re.compile("TO[D]O|FIX[M]E|NotImplemented[E]rror")
UNSAFE = {"eval", "exec", "compile", "__import__", "yaml.load", "yaml.full_load"}
PICKLES = {"pickle", "cloudpickle", "dill", "marshal", "shelve"}


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
    problems = [
        f"{path}:{node.lineno}: {ast.unparse(node)}"
        for path in PYTHON
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and executes(node)
    ]
    problems += [f"{p}: {n}" for p in PYTHON for n in imported(p) & PICKLES]
    assert not problems


def executes(call: ast.Call) -> bool:
    for argument in call.keywords:
        refused = isinstance(argument.value, ast.Constant) and not argument.value.value
        if argument.arg == "allow_pickle" and not refused:
            return True
    name = ast.unparse(call.func)
    if name == "torch.load":
        return not any(
            argument.arg == "weights_only"
            and isinstance(argument.value, ast.Constant)
            and argument.value.value is True
            for argument in call.keywords
        )
    return name in UNSAFE


@pytest.mark.parametrize(
    ("text", "unsafe"),
    [
        ("eval(text)", True),
        ("yaml.load(text)", True),
        ("np.load(path, allow_pickle=True)", True),
        ("np.load(path, allow_pickle=flag)", True),
        ("np.load(path, allow_pickle=False)", False),
        ("torch.load(path)", True),
        ("torch.load(path, weights_only=False)", True),
        ("torch.load(path, mmap=True, weights_only=True)", False),
        ("model.eval()", False),
        ("re.compile(text)", False),
    ],
)
def test_the_check_bites(text, unsafe):
    assert executes(ast.parse(text).body[0].value) == unsafe


@pytest.mark.parametrize("package", ["torch", "diffusers", "torchvision", "tensorflow"])
def test_other_frameworks_are_to_compare_with_alone(package):
    users = [p for p in PYTHON if "tests" not in p.parts and package in imported(p)]
    # What is compared with us, in processes of its own (`bridge bench cpu`).
    users = [path for path in users if path.parent.name != "peers"]
    # The one file that reads torch's own, for users who have it.
    assert [p.name for p in users] == ["torch_file.py"] * (package == "torch")


def only_errors(node: ast.ImportFrom) -> bool:
    """To catch what another module raises is not to use it."""
    return all(alias.name.endswith("Error") for alias in node.names)


def imported(path: Path) -> set[str]:
    """Top-level names of everything a file imports."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not only_errors(node):
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("check", [["check"], ["format", "--check"]], ids=" ".join)
def test_the_house_hand(check):
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *check, "--no-cache", "."],
        cwd=ROOT,
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
