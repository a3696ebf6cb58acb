"""The how-to on adding a network, followed to the letter."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import jupytext
import pytest

from companion.runs.notebooks import execute
from companion.runs.records import read_record
from thermo_utils import ThermoError
from thermo_utils.grids import grids

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "book" / "adding_a_network.md").read_text(encoding="utf-8")


def blocks(text: str) -> list[str]:
    """The Python code of a page, block by block."""
    found = re.findall(r"^( *)```python\n(.*?)^ *```", text, flags=re.DOTALL | re.MULTILINE)
    return [textwrap.dedent(code) for _, code in found]


SETTINGS, NETWORK, FILE = blocks(PAGE)


def copy_of_the_mlp(folder: Path, network: str = NETWORK) -> Path:
    """A copy of the MLP's notebook, changed as the page says."""
    notebook = jupytext.read(ROOT / "notebooks" / "mlp.md")
    changed = []
    for cell in notebook.cells:
        source = cell.source
        if "print(definition(" in source:
            changed.append("printed")
            cell.source = ""
        elif 's = settings("mlp"' in source:
            changed.append("settings")
            line = next(line for line in source.splitlines() if line.startswith("s = "))
            cell.source = source.replace(line, SETTINGS)
        elif "def network():" in source:
            changed.append("network")
            cell.source = "from torch import nn\n\n" + network
    assert changed == ["settings", "printed", "network"]
    path = folder / "mine.md"
    jupytext.write(notebook, path, fmt="md:myst")
    return path


def test_a_copy_of_a_notebook_runs_with_another_network(tmp_path):
    results = tmp_path / "results"
    values = {"results": str(results), "seed": 1}
    target = tmp_path / "mine.ipynb"
    execute(copy_of_the_mlp(tmp_path), target, values, progress=False)
    record = read_record(results / "demo" / "mine-cifar10" / "seed-1")
    assert record.result["metrics"]["parameters"] == 3 * 32 * 32 * 64 + 64 + 64 * 10 + 10
    assert record.result["layers"] == ["2"]
    assert record.result["figure"] is None
    assert record.curve("full")["tau"].tolist() == grids(0.05, 1.0)[0].tolist()
    # Again, with yet another network under the same name: refused, and the record stays.
    before = (record.folder / "result.json").read_bytes()
    other = copy_of_the_mlp(tmp_path, NETWORK.replace("Tanh", "ReLU"))
    with pytest.raises(ThermoError, match="another network"):
        execute(other, target, values, progress=False)
    assert (record.folder / "result.json").read_bytes() == before


def test_a_file_and_a_notebook_make_a_chapter(tmp_path):
    for folder in ("companion", "thermo_utils", "notebooks"):
        kept = shutil.ignore_patterns("__pycache__", "*.ipynb")
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=kept)
    (tmp_path / "companion" / "networks" / "mine.py").write_text(FILE)
    text = (tmp_path / "notebooks" / "mlp.md").read_text(encoding="utf-8")
    (tmp_path / "notebooks" / "mine.md").write_text(
        re.sub(r"\bmlp\b", "mine", text), encoding="utf-8"
    )
    (command,) = re.findall(r"^thermo (run mine .*)$", PAGE, flags=re.MULTILINE)
    done = subprocess.run(
        [sys.executable, "-m", "companion.cli", *command.split(), "--quiet"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    record = read_record(tmp_path / "results" / "demo" / "mine-cifar10")
    assert record.result["differs"] == ["not in the paper"]
    assert record.result["layers"] == ["2"]
    assert (record.folder / "chapter.ipynb").exists()
