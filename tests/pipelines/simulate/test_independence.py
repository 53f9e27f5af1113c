"""The truth must not lean on what it judges."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import tollbook.simulate

FOLDER = Path(tollbook.simulate.__file__).parent
ALLOWED_OF_THE_PRODUCT = ("tollbook.simulate", "tollbook.errors")
ALLOWED_OF_OTHERS = {"msgspec"}
STANDARD_LIBRARY = {
    "__future__",
    "bisect",
    "collections",
    "contextlib",
    "dataclasses",
    "datetime",
    "decimal",
    "fractions",
    "functools",
    "gzip",
    "heapq",
    "itertools",
    "json",
    "pathlib",
    "random",
    "typing",
}


def imported(path: Path) -> set[str]:
    """Return every module that a file imports, at its top or within."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            found.add(node.module or "")
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("__import__", "importlib.import_module"):
            pytest.fail(f"{path.name} imports by name at line {node.lineno}")
    return found


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.py")), ids=lambda path: path.relative_to(FOLDER).as_posix())
def test_no_module_of_the_simulator_imports_decoding_rating_or_marts(path: Path) -> None:
    """A truth that is computed by the code it judges would agree with its mistakes."""
    for name in imported(path):
        if name.partition(".")[0] == "tollbook":
            assert name.startswith(ALLOWED_OF_THE_PRODUCT), name
        else:
            assert name.partition(".")[0] in STANDARD_LIBRARY | ALLOWED_OF_OTHERS, name


def test_errors_are_plain() -> None:
    """The one other module that the simulator imports brings nothing of the product with it."""
    assert {name.partition(".")[0] for name in imported(FOLDER.parent / "errors.py")} <= STANDARD_LIBRARY


def test_chance_comes_from_one_place() -> None:
    """`random` has methods whose results differ between machines and versions; one module knows which do not."""
    users = [path.name for path in FOLDER.rglob("*.py") if "random" in imported(path)]
    assert users == ["randomness.py"]
