"""What a module offers to others stands in its `__all__`, and nobody takes anything else."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def dotted(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {
    dotted(file): ast.parse(file.read_text(encoding="utf-8"))
    for package in ("thermo_utils", "companion")
    for file in sorted((ROOT / package).rglob("*.py"))
}


def public(module: str) -> set[str]:
    """The names in a module's `__all__`."""
    for node in MODULES[module].body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return set(ast.literal_eval(node.value))
    return set()


def taken(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Modules and what is taken from them, by an import or through the name of the module."""
    bound = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in MODULES:
            for alias in node.names:
                if (inner := f"{node.module}.{alias.name}") in MODULES:
                    bound[alias.asname or alias.name] = inner
                elif not alias.name.startswith("__"):
                    yield node.module, alias.name
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            home = bound.get(node.value.id)
            if home is not None and f"{home}.{node.attr}" not in MODULES:
                yield home, node.attr


@pytest.mark.parametrize("module", MODULES)
def test_what_is_taken_from_a_module_is_public_there(module):
    trespasses = {f"{home}.{name}" for home, name in taken(MODULES[module])} - {
        f"{home}.{name}" for home in MODULES for name in public(home)
    }
    assert trespasses == set()


@pytest.mark.parametrize("module", MODULES)
def test_no_public_name_begins_with_an_underscore(module):
    assert not [name for name in public(module) if name.startswith("_")]


@pytest.mark.parametrize("module", MODULES)
def test_imports_name_their_module_in_full(module):
    imports = [node for node in ast.walk(MODULES[module]) if isinstance(node, ast.ImportFrom)]
    assert not [node.module for node in imports if node.level]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("from thermo_utils.errors import _secret", ["_secret"]),
        ("def f():\n    from thermo_utils.grids import ROUND", ["ROUND"]),
        ("from thermo_utils import grids as g\ng.step_for(1)", ["step_for"]),
        ("from thermo_utils import __version__\nimport numpy as np\nnp._core", []),
    ],
)
def test_the_search_finds_what_is_taken(text, found):
    assert [name for _, name in taken(ast.parse(text))] == found
