"""Where the mathematics is, signatures say shapes, which `shape_checks` then checks."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "bridge_jax"
ROOMS = ("layers", "models", "objectives", "diffusion")
FILES = [path for room in ROOMS for path in sorted((PACKAGE / room).rglob("*.py"))]

# Random keys, of one of two kinds, and numbers that may be Python's or have any rank.
OF_ANY_SHAPE = {"key", "keys", "seed", "step", "stream"}
OF_ANY_SHAPE |= {"first", "stop", "start", "signal", "sigma"}


def bare(function: ast.FunctionDef) -> list[str]:
    """Arguments (and "->") that are said to be arrays and nothing more."""
    spec = function.args
    said = {one.arg: one.annotation for one in (*spec.args, *spec.kwonlyargs)}
    said["->"] = function.returns
    return [name for name, hint in said.items() if hint and _is_bare(hint)]


def _is_bare(hint: ast.expr) -> bool:
    match hint:
        case ast.BinOp(left, ast.BitOr(), right):  # an array or None
            return _is_bare(left) or _is_bare(right)
        case ast.Subscript(ast.Name("tuple"), ast.Tuple(parts)):
            return any(map(_is_bare, parts))
    return ast.unparse(hint) in ("jax.Array", "Array")


def public(body: list[ast.stmt]) -> list[ast.FunctionDef]:
    found = []
    for node in body:
        if isinstance(node, ast.ClassDef):
            found += public(node.body)
        elif isinstance(node, ast.FunctionDef) and (
            node.name == "__call__" or not node.name.startswith("_")
        ):
            found.append(node)
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_arrays_have_shapes(path):
    functions = public(ast.parse(path.read_text()).body)
    assert not [
        f"{path.name}:{function.lineno}: {function.name}: {name}"
        for function in functions
        for name in bare(function)
        if name not in OF_ANY_SHAPE
    ]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("def f(x: jax.Array) -> Float[Array, 'B']: ...", ["x"]),
        ("def f(x: Float[Array, 'B D'], *, y: Array | None = None): ...", ["y"]),
        ("def f(n: int) -> tuple[jax.Array, int]: ...", ["->"]),
        ("def f(n: int, g: Callable[[jax.Array], int]) -> Float[Array, '']: ...", []),
    ],
)
def test_the_check_bites(text, names):
    assert bare(ast.parse(text).body[0]) == names
