"""Imports go down the floors: the tree is the architecture."""

import ast
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).parents[1] / "src" / "selfdistill"
FLOORS = (
    (
        *("errors", "inputs", "distributed", "system", "rng", "files", "schema", "records", "task", "own_modules"),
        *("recipes", "run_key", "table_format"),
    ),
    ("functional", "data"),
    ("terms", "features", "heads", "models"),
    ("method", "step"),
    ("methods",),
    ("loop", "metrics", "train"),
    ("plots", "study", "inspect", "export", "predict", "bench", "trackers"),
    ("report",),
    ("cli", "__init__", "__main__"),
)
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
ONLY_IN = {
    "timm": {"models", "train"},
    "torchvision": {"models", "data"},
    "transformers": {"models"},
    "pyarrow": {"data"},
    "datasets": {"data"},
    "typer": {"cli"},
    "lightning_fabric": {"train"},
    "matplotlib": {"plots"},
    "ray": {"study"},
    "wandb": {"trackers"},
    "mlflow": {"trackers"},
    "trackio": {"trackers"},
    "optuna": {"study"},
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


ROOMS_AND_ARROWS = {"study": (14, 30), "train": (12, 29), "report": (8, 14)}  # at most


def rooms_and_arrows(folder: str) -> tuple[set[str], set[tuple[str, str]]]:
    """The files and folders directly inside a folder, and which of them import which."""
    base, package = ROOT / folder, f"selfdistill.{folder}."
    paths = [path for path in base.rglob("*.py") if path != base / "__init__.py"]
    rooms = {path.relative_to(base).parts[0].removesuffix(".py") for path in paths}
    arrows = {
        (path.relative_to(base).parts[0].removesuffix(".py"), name.removeprefix(package).split(".")[0])
        for path in paths
        for name in imported(path)
        if name.startswith(package)
    }
    return rooms, {(here, there) for here, there in arrows if here != there and there in rooms}


@pytest.mark.parametrize("folder", ROOMS_AND_ARROWS)
def test_a_folder_has_few_rooms_and_arrows(folder):
    rooms, arrows = rooms_and_arrows(folder)
    most_rooms, most_arrows = ROOMS_AND_ARROWS[folder]
    assert len(rooms) <= most_rooms, sorted(rooms)
    assert len(arrows) <= most_arrows, sorted(arrows)


def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name."""
    parts = {path: path.relative_to(ROOT.parent).with_suffix("").parts for path in FILES}
    return {".".join(each[:-1] if each[-1] == "__init__" else each): path for path, each in parts.items()}


def at_import(path: Path) -> set[str]:
    """Names imported when a module is loaded: outside functions and `if TYPE_CHECKING`."""
    names = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_there_is_no_circle():
    known = modules()
    arrows = {name: {module_of(each, known) for each in at_import(path)} - {None} for name, path in known.items()}
    assert not circle(arrows)


def module_of(name: str, known: dict[str, Path]) -> str | None:
    """The module that an imported name is, or lies in."""
    return next((each for each in (name, name.rpartition(".")[0]) if each in known), None)


def circle(arrows: dict[str, set[str]]) -> set[str]:
    """What is left once everything is taken away that imports nothing of what is left: circles."""
    left = dict(arrows)
    while free := {name for name, targets in left.items() if not (targets & left.keys()) - {name}}:
        left = {name: targets for name, targets in left.items() if name not in free}
    return set(left)


def test_a_circle_is_found():
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == {"a", "b", "c", "d"}
    assert circle({"a": {"b"}, "b": set()}) == set()


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
