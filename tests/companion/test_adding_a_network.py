"""The how-to on adding a network, followed to the letter."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import jupytext
import nbformat
import pytest
import yaml

from companion.pages.site import TOC
from companion.pages.toc import ADDED_PART, HERE_PART
from companion.runs.committed import LIST
from companion.runs.notebooks import execute
from companion.runs.records import read_record, sha256
from thermo_utils import ThermoError
from thermo_utils.grids import grids

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "book" / "adding_a_network.md").read_text(encoding="utf-8")


def blocks(text: str) -> list[str]:
    """The Python code of a page, block by block."""
    found = re.findall(r"^( *)```python\n(.*?)^ *```", text, flags=re.DOTALL | re.MULTILINE)
    return [textwrap.dedent(code) for _, code in found]


SETTINGS, NETWORK, FILE = blocks(PAGE)
RUN, BOOK = re.findall(r"^thermo (run mine .*|book)$", PAGE, flags=re.MULTILINE)


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


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A clone with the file and the notebook of the page, in which its commands can be given."""
    folder = tmp_path_factory.mktemp("clone")
    made = ("__pycache__", "*.ipynb")
    for name in ("companion", "thermo_utils", "notebooks"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns(*made))
    made = (*made, "chapters", "generated", "runs")
    shutil.copytree(ROOT / "book", folder / "book", ignore=shutil.ignore_patterns(*made))
    for name in ("_config.yml", "pyproject.toml", "CITATION.cff"):
        shutil.copy(ROOT / name, folder)
    (folder / "companion" / "networks" / "mine.py").write_text(FILE)
    text = (folder / "notebooks" / "mlp.md").read_text(encoding="utf-8")
    (folder / "notebooks" / "mine.md").write_text(
        re.sub(r"\bmlp\b", "mine", text), encoding="utf-8"
    )
    return folder


def given(clone: Path, *words: str) -> str:
    """What a command prints in the clone."""
    done = subprocess.run(
        [sys.executable, *words], cwd=clone, env={**os.environ, "PYTHONPATH": str(clone)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def record(clone):
    """The record of the chapter, made by the command on the page."""
    given(clone, "-m", "companion.cli", *RUN.split(), "--quiet")
    return read_record(clone / "results" / "demo" / "mine-cifar10")


def test_a_file_and_a_notebook_make_a_chapter(record):
    assert record.result["differs"] == ["not in the paper"]
    assert record.result["layers"] == ["2"]
    assert (record.folder / "chapter.ipynb").exists()


def test_the_chapter_is_listed_and_part_of_the_book(clone, record):
    last = given(clone, "-m", "companion.cli", "chapters").splitlines()[-1]
    assert last.split() == ["-", "mine", "cifar10", "CIFAR-10", "seed", "0", "-", "-"]
    line = "from pathlib import Path; from companion.pages.site import assemble;"
    given(clone, "-c", f"{line} assemble(Path('results'), committed=Path('none'))")
    book = clone / "book"
    contents = yaml.safe_load((book / TOC).read_text())
    before = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text())
    assert [p["caption"] for p in contents["parts"]] == [
        *(part["caption"] for part in before["parts"]), HERE_PART,
    ]  # fmt: skip
    assert contents["parts"][-1]["chapters"][0]["sections"] == [{"file": "runs/demo-mine-cifar10"}]
    executed = nbformat.read(book / "runs" / "demo-mine-cifar10.ipynb", as_version=4)
    assert executed.cells[0].source.splitlines()[0] == "# Mine on CIFAR-10, run here"
    assert (book / "runs" / "index.md").read_text().count("(demo-mine-cifar10)") == 1


def test_a_committed_record_of_it_is_a_chapter_of_the_book(clone, record):
    """As where somebody keeps a book of their own networks."""
    committed = clone / "kept"
    shutil.copytree(record.folder, committed / "small" / "mine-cifar10")
    result = json.loads((record.folder / "result.json").read_text())
    result["profile"] = result["settings"]["profile"] = "small"
    result["synthetic"] = False
    text = json.dumps(result)
    (committed / "small" / "mine-cifar10" / "result.json").write_text(text)
    (committed / LIST).write_text(json.dumps({"small/mine-cifar10": sha256(text)}))
    file = clone / "companion" / "networks" / "mine.py"
    file.write_text(FILE.replace('("cifar10", "demo")', '("cifar10", "small")'))
    try:
        line = "from pathlib import Path; from companion.pages.site import assemble;"
        given(clone, "-c", f"{line} assemble(Path('none'), committed=Path('kept'))")
    finally:
        file.write_text(FILE)
    book = clone / "book"
    contents = yaml.safe_load((book / TOC).read_text())
    parts = {part["caption"]: [p["file"] for p in part["chapters"]] for part in contents["parts"]}
    assert parts.pop(ADDED_PART) == ["chapters/mine-cifar10"]
    assert "chapters/mine-cifar10" not in [page for pages in parts.values() for page in pages]
    link = "(chapters/mine-cifar10)"
    # The seeds that are missing are those to be run.
    for piece, times in {"status": 1, "added": 1, "outdated": 2, "other_runs": 0}.items():
        assert (book / "generated" / f"{piece}.md").read_text().count(link) == times, piece


@pytest.mark.slow
def test_the_book_with_the_chapter_is_built(clone, record):
    first = Path(given(clone, "-m", "companion.cli", *BOOK.split()).splitlines()[-1])
    page = first.parent / "runs" / "demo-mine-cifar10.html"
    text = page.read_text()
    assert "<h1>Mine on CIFAR-10, run here" in text
    images = re.findall(r'<img[^>]*src="([^"]*_images/[^"]*)"', text)
    assert images
    assert all((page.parent / image).exists() for image in images)
    assert HERE_PART in first.read_text()
