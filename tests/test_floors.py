"""Imports go down the floors: the tree is the architecture."""

import ast
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).parents[1] / "src" / "selfdistill"
FLOORS = (
    ("errors", "distributed", "system", "rng", "files"),
    ("functional", "data"),
    ("terms", "features", "heads", "models"),
    ("method", "step"),
    ("methods",),
    ("loop", "metrics", "train"),
    ("plots", "study", "inspect", "export", "bench"),
    ("report",),
    ("cli", "__init__", "__main__"),
)
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
ONLY_IN = {
    "timm": {"models"},
    "torchvision": {"models", "data"},
    "pyarrow": {"data"},
    "datasets": {"data"},
    "typer": {"cli"},
    "lightning_fabric": {"train"},
    "matplotlib": {"plots"},
    "ray": {"study"},
    "jinja2": {"report"},
}
FILES = sorted(ROOT.rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write imports in full"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down(path):
    here = room(path)
    for name in imported(path):
        first, *rest = name.split(".")
        if first in ONLY_IN:
            assert here in ONLY_IN[first], f"{here} may not import {first}"
        if first == "selfdistill" and here != "__init__" and rest and rest[0] != "__version__":
            there = rest[0]
            assert FLOOR[there] <= FLOOR[here], f"{here} may not import {there}, which lies above it"


def test_every_room_has_a_floor():
    assert {room(path) for path in FILES} <= set(FLOOR)


def test_no_drawers():
    drawers = {"utils", "helpers", "misc", "manager", "common", "util", "helper"}
    assert not {path.stem for path in ROOT.rglob("*")} & drawers


def test_shared_code_names_no_method():
    methods = {path.stem for path in (ROOT / "methods").glob("*.py")} - {
        "__init__",
        *("ce", "mixup", "label_smoothing"),
        *("one", "at", "dot", "focal"),  # words of their own
    }
    shared = [path for path in FILES if room(path) not in ("methods", "cli", "__init__", "study")]
    for path in shared:
        words = {node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)}
        assert not words & methods, f"{path} names {words & methods}"


@pytest.mark.parametrize("path", sorted((ROOT / "methods").glob("[a-z]*.py")), ids=lambda path: path.stem)
def test_a_method_fits_on_a_page(path):
    assert len(path.read_text().splitlines()) <= 60


def test_functions_are_short():
    nodes = (node for path in FILES for node in ast.walk(ast.parse(path.read_text())))
    lengths = [lines(node) for node in nodes if isinstance(node, ast.FunctionDef)]
    assert median(lengths) < 8


def lines(function: ast.FunctionDef) -> int:
    """Lines of a function's body, its docstring left out."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0
