"""Showing a record through its notebook: without a kernel or torch, and the same as with them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import jupytext
import nbformat
import pytest

from companion.runs.committed import COMMITTED
from companion.runs.frozen import COMPUTES, ON_TOP, show, write
from companion.runs.notebooks import execute, notebook_path
from companion.runs.records import read_record
from thermo_utils.errors import ThermoError

CHAPTERS = sorted(p for p in notebook_path("mlp").parent.glob("*.md") if p.stem != "your_model")
CHAPTER = {
    "dataset": "cifar10", "profile": "small", "results": str(COMMITTED), "frozen": True,
}  # fmt: skip


def notebook(folder: Path, *cells: str) -> Path:
    """A text notebook with a cell of parameters and others; a first line ``#tag`` tags one."""
    text = "# A notebook\n\n```{code-cell} ipython3\n:tags: [parameters]\n\nnumber = 1\n```\n"
    for cell in cells:
        tag = re.match(r"#(\S+)\n", cell)
        head = f":tags: [{tag[1]}]\n\n" if tag else ""
        text += f"\n```{{code-cell}} ipython3\n{head}{cell}\n```\n"
    path = folder / "mine.md"
    path.write_text("---\nkernelspec:\n  name: python3\n  display_name: Python 3\n---\n\n" + text)
    return path


def outputs(shown: nbformat.NotebookNode) -> list[str]:
    """What each cell shows, as plain text."""
    found = []
    for cell in shown.cells:
        for output in cell.get("outputs", []):
            found.append(output.get("text") or output["data"]["text/plain"])
    return found


def test_what_a_cell_prints_displays_and_ends_with(tmp_path):
    source = notebook(tmp_path, "print('printed')", "display('displayed')\nnumber", "x = 3")
    assert outputs(show(source, {"number": 7})) == ["printed\n", "'displayed'", "7"]


def test_cells_that_compute_are_left_out(tmp_path):
    cells = [f"#{COMPUTES}\nraise KeyError", f"#{ON_TOP}\n'top'", "'below'"]
    source = notebook(tmp_path, *cells)
    assert outputs(show(source, {})) == ["'top'", "'below'"]
    assert outputs(show(source, {}, left_out=[ON_TOP])) == ["'below'"]


def test_nothing_is_remembered_of_another_notebook(tmp_path):
    show(notebook(tmp_path, "number, left = 1, 2"), {})
    with pytest.raises(ThermoError, match="NameError"):
        show(notebook(tmp_path, "left"), {})


@pytest.mark.parametrize(
    ("cell", "what"), [("number / 0", "ZeroDivisionError"), ("def", "SyntaxError")]
)
def test_a_cell_that_fails_is_named(tmp_path, cell, what):
    with pytest.raises(ThermoError, match=rf"mine\.md, cell \d+ failed: {what}"):
        show(notebook(tmp_path, cell), {})


def test_an_interrupt_is_one(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        show(notebook(tmp_path, "raise KeyboardInterrupt"), {})


def test_what_is_written_is_a_notebook(tmp_path):
    shown = show(notebook(tmp_path, "number"), {"number": 5}, heading="Mine")
    write(tmp_path / "new" / "out.ipynb", shown)
    again = nbformat.read(tmp_path / "new" / "out.ipynb", as_version=4)
    nbformat.validate(again)
    assert again.cells[0].source.startswith("# Mine")
    assert outputs(again) == ["5"]


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_what_chapters_compute_is_marked_and_nothing_else(path):
    """Whatever loads torch when it is run is marked; what is marked asks the run for a stage."""
    for cell in jupytext.read(path).cells:
        if cell.cell_type == "code":
            loads = re.search(
                r"^(import torch|from thermo_utils|from companion\.data)", cell.source, re.M
            )
            calls = "run.keep(" in cell.source
            assert (COMPUTES in cell.metadata.get("tags", [])) == bool(loads or calls), cell.source


@pytest.mark.slow
def test_a_chapter_is_shown_without_torch():
    code = (
        "import sys\nfrom companion.runs.frozen import show\n"
        "from companion.runs.notebooks import notebook_path\n"
        f"show(notebook_path('mlp'), {CHAPTER!r})\n"
        "heavy = {'torch', 'transformers', 'lightning', 'datasets', 'papermill'}\n"
        "loaded = heavy & {*sys.modules}\n"
        "assert not loaded, loaded"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_kernel_shows_the_same(tmp_path):
    """The same chapter, run for the first time by a kernel and then shown from its record."""
    tiny = {
        "train_size": 60, "validation_size": 20, "test_size": 40, "epochs": 1, "tau_step": 0.2,
        "tau_max": 2.0,
    }  # fmt: skip
    values = {
        "dataset": "cifar10", "profile": "demo", "seed": 1, "results": str(tmp_path / "results"),
        "overrides": tiny,
    }  # fmt: skip
    execute(notebook_path("mlp"), tmp_path / "out.ipynb", values, progress=False)
    (found,) = (tmp_path / "results" / "demo").rglob("result.json")
    assert read_record(found.parent) is not None
    shown = show(notebook_path("mlp"), {**values, "frozen": True})
    ran = nbformat.read(tmp_path / "out.ipynb", as_version=4)

    def tables(notebook):  # but for the settings: a record knows how the data differ, too
        left_out = {COMPUTES, ON_TOP}
        cells = [c for c in notebook.cells if left_out.isdisjoint(c.metadata.get("tags", []))]
        return {
            cell.source: output["data"]["text/html"]
            for cell in cells
            for output in cell.get("outputs", [])
            if "text/html" in output.get("data", {})
        }

    assert len(tables(shown)) > 8
    assert tables(shown) == tables(ran)
