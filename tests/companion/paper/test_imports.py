"""The audit of the paper reads records and tables of text: it loads no torch and draws nothing."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import companion.paper

FOLDER = Path(companion.paper.__file__).parent
MODULES = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__")
CODE = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(f"companion.paper.{name}")
heavy = {"torch", "matplotlib", "numba", "transformers", "datasets"}
print(sorted(heavy & set(sys.modules)))
"""


def test_no_module_loads_torch_or_draws():
    command = [sys.executable, "-c", CODE, *MODULES]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", MODULES)
def test_no_module_knows_a_page(name):
    tree = ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8"))
    imported = [n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
    imported += [a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names]
    assert [module for module in imported if module.startswith("companion.pages")] == []
