"""Notebooks: how they are written, and how they are executed."""

from __future__ import annotations

import ast
import re
import sys
import tempfile
from pathlib import Path

import jupytext
import nbformat
import pytest

from companion.networks import NETWORKS
from companion.runs import notebooks
from companion.runs.chapters import ADDED, CHAPTERS
from companion.runs.notebooks import EXECUTED, execute, notebook_path, parameters
from companion.runs.records import read_record
from companion.runs.run import Run
from companion.runs.settings import settings
from thermo_utils.errors import ThermoError

FOLDER = Path(__file__).parents[3] / "notebooks"
BOOK = FOLDER.with_name("book")
CHAPTER_NOTEBOOKS = sorted(p for p in FOLDER.glob("*.md") if p.name != "your_model.md")
PARAMETERS = {"dataset", "profile", "seed", "results", "force", "frozen", "overrides"}
TINY = {
    "train_size": 60, "validation_size": 20, "test_size": 40, "epochs": 1, "tau_step": 0.2,
    "tau_max": 2.0,
}  # fmt: skip


def code(path: Path) -> list[nbformat.NotebookNode]:
    return [cell for cell in jupytext.read(path).cells if cell.cell_type == "code"]


def imports(path: Path) -> set[str]:
    """Top-level packages that a notebook imports."""
    found = set()
    for cell in code(path):
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add(str(node.module).split(".")[0])
    return found


def test_every_model_has_its_notebook():
    assert {p.stem for p in CHAPTER_NOTEBOOKS} == set(NETWORKS)
    for path in CHAPTER_NOTEBOOKS:
        assert notebook_path(path.stem) == path


@pytest.mark.parametrize("path", CHAPTER_NOTEBOOKS, ids=lambda p: p.stem)
class TestChapterNotebook:
    def test_parameters(self, path):
        tagged = [c for c in code(path) if "parameters" in c.metadata.get("tags", [])]
        assert len(tagged) == 1
        assert parameters(jupytext.read(path)) == PARAMETERS
        values = {}
        exec(tagged[0].source, values)
        assert (values["profile"], values["seed"]) == ("demo", 0)
        assert (values["results"], values["overrides"]) == ("results", {})
        assert (values["force"], values["frozen"]) == (False, False)
        fitting = {c.dataset for c in (*CHAPTERS, *ADDED) if c.model == path.stem}
        assert values["dataset"] in fitting
        named = set(re.findall(r"cifar10|flowers102|ag_news|yelp", tagged[0].source))
        assert named == fitting

    def test_uses_the_library_alone(self, path):
        assert imports(path) == {"companion", "thermo_utils", "torch"}

    def test_runs_its_own_model(self, path):
        source = "\n".join(cell.source for cell in code(path))
        assert re.findall(r'settings\(\s*"(\w+)"', source) == [path.stem]
        assert set(re.findall(r"(\w+)\.(?:make|NETWORK)\b", source)) == {path.stem}

    def test_tells_the_whole_story_in_order(self, path):
        source = "\n".join(cell.source for cell in code(path))
        steps = [
            "settings_table(s, run.outdated())", "def data():", "def network():",
            'run.keep(\n    "train", train,',
            'run.keep("renormalized", renormalized,', 'run.keep(\n    "full", full_evaluation,',
            "run.save()", "page.six_panels()", "page.training()", "page.history()",
            'page.curve("renormalized")', 'page.curve("full")', "page.features()",
            "page.thresholds()", "page.firmness()", "page.seeds()", "page.timings()",
            "page.said()", "page.claims()", "page.provenance()",
        ]  # fmt: skip
        places = [source.find(step) for step in steps]
        assert -1 not in places, steps[places.index(-1)]
        assert places == sorted(places)

    def test_says_what_no_other_notebook_says(self, path):
        def paragraphs(file):
            cells = jupytext.read(file).cells
            texts = [c.source for c in cells if c.cell_type == "markdown"]
            found = "\n\n".join(texts).split("\n\n")
            return {" ".join(p.split()) for p in found if len(p) > 150}

        for other in CHAPTER_NOTEBOOKS:
            if other != path:
                assert not paragraphs(path) & paragraphs(other)

    def test_begins_with_its_only_title(self, path):
        cells = jupytext.read(path).cells
        assert cells[0].source.startswith("# ")
        text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
        prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
        assert len(re.findall(r"^# ", prose, flags=re.MULTILINE)) == 1

    def test_links_lead_to_pages_and_labels_of_the_book(self, path):
        pages = {f"../{page.name}": page.read_text(encoding="utf-8") for page in BOOK.glob("*.md")}
        labels = set(re.findall(r"^\(([\w-]+)\)=$", "\n".join(pages.values()), flags=re.MULTILINE))
        text = "\n".join(c.source for c in jupytext.read(path).cells if c.cell_type == "markdown")
        links = re.findall(r"\]\(([^)]+)\)", text)
        assert links
        assert [link for link in links if link not in {*pages, *labels}] == []

    def test_carries_no_outputs(self, path):
        assert all(not cell.outputs for cell in code(path))


def test_your_model_uses_the_library_alone():
    path = FOLDER / "your_model.md"
    assert imports(path) == {"collections", "companion", "IPython", "pandas", "thermo_utils"}
    from_companion = [c.source for c in code(path) if "companion" in c.source]
    assert len(from_companion) == 1  # the cell to replace


def values(results: Path, **changed) -> dict[str, object]:
    fixed = {"dataset": "flowers102", "profile": "demo", "seed": 4, "results": str(results)}
    return {**fixed, "force": False, "overrides": TINY, **changed}


def images(notebook: nbformat.NotebookNode) -> int:
    outputs = (o for cell in notebook.cells for o in cell.get("outputs", []))
    return sum("image/svg+xml" in o.get("data", {}) for o in outputs)


def test_the_mlp_chapter_runs_as_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    target = Run(settings("mlp", "flowers102", "demo", 4, **TINY), "results").folder / EXECUTED
    returned = execute(
        notebook_path("mlp"), target, values(Path("results")), heading="Fig. 3: ours",
        progress=False,
    )  # fmt: skip
    assert returned == target
    record = read_record(target.parent)
    assert (record.result["dataset"], record.result["seed"]) == ("flowers102", 4)
    assert {k: record.result["settings"][k] for k in TINY} == TINY
    notebook = nbformat.read(target, as_version=4)
    nbformat.validate(notebook)
    assert notebook.cells[0].source.splitlines()[0] == "# Fig. 3: ours"
    assert notebook.metadata.papermill["exception"] is None
    assert notebook.metadata.papermill["input_path"] == "mlp.md"
    assert tempfile.gettempdir() not in target.read_text().replace(str(tmp_path), "")
    assert images(notebook) == 2
    assert all(o.get("name") != "stderr" for c in notebook.cells for o in c.get("outputs", []))
    assert sorted(p.name for p in target.parent.iterdir()) == [
        "blocks.csv", "chapter.ipynb", "curves.csv", "result.json",
    ]  # fmt: skip
    assert [p.name for p in tmp_path.iterdir()] == ["results"]


HEADER = """---
kernelspec:
  display_name: Python 3
  name: python3
---

# A notebook

```{code-cell} ipython3
:tags: [parameters]

number: int = 1
word = "a"
pair = dict(
    inner=1,
)
table = {
    "of": 1,
}
```

"""


def written(folder: Path, *cells: str) -> Path:
    path = folder / "mine.md"
    path.write_text(HEADER + "\n".join(f"```{{code-cell}} ipython3\n{c}\n```\n" for c in cells))
    return path


def test_parameters_are_the_names_assigned(tmp_path):
    assert parameters(jupytext.read(written(tmp_path))) == {"number", "table", "word", "pair"}


def test_unknown_parameter_is_refused_before_anything_runs(tmp_path, monkeypatch):
    import papermill

    monkeypatch.setattr(papermill, "execute_notebook", None)
    target = tmp_path / "new" / "out.ipynb"
    with pytest.raises(ThermoError, match="unknown parameter 'numbr': did you mean 'number'"):
        execute(written(tmp_path), target, {"numbr": 2})
    assert not target.parent.exists()


def test_a_failing_cell_is_named_and_what_ran_is_kept(tmp_path):
    source = written(tmp_path, "print(number)", "# the reason\nnumber / 0", "print('not reached')")
    target = tmp_path / "out" / "chapter.ipynb"
    with pytest.raises(
        ThermoError, match=r"mine\.md failed in cell \d+ .*ZeroDivisionError: division by zero"
    ) as error:
        execute(source, target, {"number": 7}, progress=False)
    failed = target.parent / "failed.ipynb"
    assert str(failed) in str(error.value)
    assert [p.name for p in target.parent.iterdir()] == ["failed.ipynb"]
    text = failed.read_text()
    assert "7\\n" in text
    assert "ZeroDivisionError" in text


@pytest.mark.slow
def test_a_kernel_that_dies(tmp_path, capfd):
    source = written(tmp_path, "import os\nos._exit(9)")
    with pytest.raises(ThermoError, match=r"the kernel of mine\.md died"):
        execute(source, tmp_path / "out.ipynb", {}, progress=False)
    assert not (tmp_path / "out.ipynb").exists()
    assert capfd.readouterr().err == ""


@pytest.mark.slow
def test_a_finished_run_removes_what_a_failed_one_left(tmp_path):
    (tmp_path / "failed.ipynb").write_text("{}")
    execute(written(tmp_path), tmp_path / "out.ipynb", {}, progress=False)
    assert not (tmp_path / "failed.ipynb").exists()


def test_sockets_of_a_kernel_are_its_own():
    own, deep = "/tmp/one", "/tmp/" + "deep" * 20
    file = {"connection_file": f"{own}/kernel.json"}
    assert notebooks._transport(own) == {"transport": "ipc", "ip": f"{own}/kernel", **file}
    file = {"connection_file": f"{deep}/kernel.json"}
    assert notebooks._transport(deep) == {"transport": "tcp", **file}


@pytest.mark.slow
def test_kernels_with_long_temporary_folders(tmp_path, monkeypatch):
    deep = tmp_path / ("deep" * 20)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    execute(written(tmp_path, "number"), tmp_path / "out.ipynb", {"number": 3}, progress=False)


@pytest.mark.slow
@pytest.mark.parametrize("model", [p.stem for p in CHAPTER_NOTEBOOKS if p.stem != "mlp"])
def test_every_other_chapter_runs(tmp_path, model):
    dataset = next(c.dataset for c in (*CHAPTERS, *ADDED) if c.model == model)
    given = values(tmp_path, dataset=dataset, overrides={k: TINY[k] for k in list(TINY)[:4]})
    run = Run(settings(model, dataset, "demo", 4, **given["overrides"]), tmp_path)
    target = run.folder / EXECUTED
    execute(notebook_path(model), target, given, progress=False)
    assert images(nbformat.read(target, as_version=4)) == 2
    # From the record alone, the same chapter is a matter of seconds and changes nothing.
    before = (target.parent / "result.json").read_bytes()
    execute(notebook_path(model), target, given, progress=False)
    assert (target.parent / "result.json").read_bytes() == before
    again = Run(settings(model, dataset, "demo", 4, **given["overrides"]), tmp_path, frozen=True)
    assert again.outdated() == ()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_killed_chapter_goes_on(tmp_path):
    import signal
    import subprocess
    import time

    command = [
        sys.executable, "-m", "companion.cli", "run", "mlp", "cifar10", "--quiet",
        "--results", str(tmp_path), "-p", "epochs", "4",
    ]  # fmt: skip
    folder = Run(settings("mlp", "cifar10", epochs=4), tmp_path).folder
    for trace in ("train-*/last.ckpt", "full-*/sweep.jsonl"):
        with subprocess.Popen(command) as process:
            deadline = time.monotonic() + 120
            while not list((tmp_path / ".work").glob(trace)) and time.monotonic() < deadline:
                time.sleep(0.02)
            process.send_signal(signal.SIGKILL)
        assert read_record(folder) is None
        assert not (folder / "chapter.ipynb").exists()
        time.sleep(3)  # the kernel notices that its parent is gone
    assert subprocess.run(command, check=False).returncode == 0
    command[command.index(str(tmp_path))] = str(tmp_path / "other")
    assert subprocess.run(command, check=False).returncode == 0
    interrupted = read_record(folder)
    uninterrupted = read_record(
        Run(settings("mlp", "cifar10", epochs=4), tmp_path / "other").folder
    )
    assert interrupted.curves.equals(uninterrupted.curves)
    assert interrupted.result["history"] == uninterrupted.result["history"]
