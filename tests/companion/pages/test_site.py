"""The book: assembled from whatever has been run, complete, and built without a warning."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
import yaml

from companion.pages import site as book
from companion.pages.your_model import PAGES
from companion.runs.chapters import CHAPTERS
from companion.runs.committed import LIST
from companion.runs.records import sha256
from thermo_utils.errors import ThermoError

SOURCES = Path(__file__).parents[3]


@pytest.fixture
def root(tmp_path, monkeypatch):
    """The book's sources in a folder of this test, without what was assembled before."""
    generated = shutil.ignore_patterns("chapters", "generated", "runs", "your_model*", "_build")
    shutil.copytree(SOURCES / "book", tmp_path / "site" / "book", ignore=generated)
    shutil.copy(SOURCES / "_config.yml", tmp_path / "site")
    monkeypatch.setattr(book, "ROOT", tmp_path / "site")
    return tmp_path / "site"


def seal(results: Path) -> None:
    """Have every record of a folder of results be one that came with the project."""
    found = {
        path.parent.relative_to(results).as_posix(): sha256(path.read_bytes())
        for path in results.rglob("result.json")
    }
    (results / LIST).write_text(json.dumps(found))


@pytest.fixture
def committed(tmp_path, written):
    """Results that came with the project: a chapter with two seeds."""
    folder = tmp_path / "committed"
    small = folder / "small"
    written(small / "mlp-cifar10", profile="small")
    written(small / "mlp-cifar10" / "seed-1", seed=1, profile="small")
    seal(folder)
    return folder


@pytest.fixture
def results(tmp_path, written):
    """What was run here: a chapter with its notebook."""
    folder = tmp_path / "results"
    written(folder / "demo" / "mlp-cifar10", profile="demo", synthetic=True)
    cells = [
        nbformat.v4.new_markdown_cell("# MLP on CIFAR-10\n\nOnce upon a time."),
        nbformat.v4.new_code_cell("print(1)"),
    ]
    python = {"language_info": {"name": "python", "pygments_lexer": "ipython3"}}
    executed = nbformat.v4.new_notebook(cells=cells, metadata=python)
    nbformat.write(executed, folder / "demo" / "mlp-cifar10" / "chapter.ipynb")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def page(path: Path) -> str:
    """All that a notebook's cells say, and what they show."""
    notebook = nbformat.read(path, as_version=4)
    return "\n".join(cell.source for cell in notebook.cells)


class TestAssemble:
    def test_without_any_record(self, root, tmp_path):
        nowhere = tmp_path / "nowhere"
        book.assemble(nowhere, committed=nowhere)
        for chapter in CHAPTERS:
            text = (root / "book" / "chapters" / f"{chapter.name}.md").read_text()
            assert text.startswith(f"# {chapter.title}\n")
            assert f"thermo run {chapter.model} {chapter.dataset} --profile small\n" in text
        for shown in PAGES.values():
            text = page(root / "book" / f"{shown.name}.ipynb")
            assert text.startswith(f"# {shown.title}\n")
            assert f"-p example {shown.example}" in text
            assert "not executed" in text
        assert "Nothing was run here yet" in (root / "book" / "runs" / "index.md").read_text()
        assert not nowhere.exists()

    def test_chapters_are_the_committed_records_whatever_was_run_here(
        self, root, results, committed
    ):
        book.assemble(results, committed=committed)
        pages = root / "book" / "chapters"
        name = "mlp-cifar10"
        assert "from our own runs" in page(pages / f"{name}.ipynb")
        record = pages.parent / "generated" / "static" / "records" / name / "result.json"
        assert record.read_bytes() == (committed / "small" / name / "result.json").read_bytes()
        assert len(list(pages.iterdir())) == len(CHAPTERS)
        alone = contents(root / "book" / "generated")
        book.assemble(results / "nowhere", committed=committed)
        without = contents(root / "book" / "generated")
        sources = {"floors.svg", "modules.md"}  # of the code, which may be worked on
        changed = {name for name in alone if alone[name] != without.get(name)} - sources
        assert {n for n in changed if "demo-mlp" not in n} == {"_toc.yml"}

    def test_what_was_run_here_has_a_part_of_its_own(self, root, results, committed, written):
        folder = results / "demo" / "mlp-flowers102"
        written(folder, "mlp", "flowers102", profile="demo", synthetic=True)  # its notebook is gone
        book.assemble(results, committed=committed)
        pages = root / "book" / "runs"
        assert sorted(p.name for p in pages.iterdir()) == [
            "demo-mlp-cifar10.ipynb", "demo-mlp-flowers102.ipynb", "index.md",
        ]  # fmt: skip
        text = page(pages / "demo-mlp-cifar10.ipynb")
        assert "Run on this machine" in text
        assert "Once upon a time." in text
        assert "Once upon a time." not in page(pages / "demo-mlp-flowers102.ipynb")
        overview = (pages / "index.md").read_text()
        assert "synthetic data" in overview
        assert "(demo-mlp-cifar10)" in overview
        assert "(../chapters/mlp-cifar10)" in overview

    @pytest.mark.slow
    def test_a_seed_beside_the_committed_ones_is_not_mixed_with_them(
        self, root, committed, written
    ):
        book.assemble(committed, committed=committed)
        before = page(root / "book" / "chapters" / "mlp-cifar10.ipynb")
        written(
            committed / "small" / "mlp-cifar10" / "seed-7", seed=7, profile="small", accuracy=0.93
        )
        book.assemble(committed, committed=committed)
        assert page(root / "book" / "chapters" / "mlp-cifar10.ipynb") == before
        text = page(root / "book" / "runs" / "small-mlp-cifar10.ipynb")
        assert "seed 7" in text

    @pytest.mark.slow
    @pytest.mark.parametrize("gone", [False, True])
    def test_says_that_a_committed_record_was_replaced(self, root, committed, written, gone):
        folder = committed / "small" / "mlp-cifar10" / "seed-1"
        if gone:
            shutil.rmtree(folder)
        else:
            written(folder, seed=1, profile="small", accuracy=0.93)
        book.assemble(committed, committed=committed)
        text = page(root / "book" / "chapters" / "mlp-cifar10.ipynb")
        assert "git checkout -- results" in text
        assert "`small/mlp-cifar10/seed-1`" in text
        assert (root / "book" / "runs" / "small-mlp-cifar10.ipynb").exists() != gone

    @pytest.mark.slow
    def test_forgets_what_was_assembled_before(self, root, results, committed):
        book.assemble(results, committed=committed)
        book.assemble(results / "nowhere", committed=results / "nowhere")
        pages = root / "book" / "chapters"
        assert (pages / "mlp-cifar10.md").exists()
        assert not (pages / "mlp-cifar10.ipynb").exists()
        assert [p.name for p in (root / "book" / "runs").iterdir()] == ["index.md"]

    @pytest.mark.slow
    def test_executed_pages_for_your_model_take_precedence(self, root, results, committed):
        book.assemble(results, committed=committed)
        names = [shown.name for shown in PAGES.values()]
        executed = results / ".work" / f"{names[1]}.ipynb"
        executed.parent.mkdir()
        shutil.copy(results / "demo" / "mlp-cifar10" / "chapter.ipynb", executed)
        book.assemble(results, committed=committed)
        for name in names:
            text = page(root / "book" / f"{name}.ipynb")
            assert ("not executed" in text) == (name != names[1])

    def test_a_damaged_record_leaves_everything_in_place(self, root, results, committed):
        book.assemble(results, committed=committed)
        before = contents(root / "book")
        for folder in (results / "demo", committed / "small"):
            path = folder / "mlp-cifar10" / "result.json"
            content = path.read_bytes()
            path.write_text("{")
            with pytest.raises(ThermoError, match="mlp-cifar10"):
                book.assemble(results, committed=committed)
            path.write_bytes(content)
        assert contents(root / "book") == before

    def test_all_damaged_records_are_named(self, root, results, committed):
        damaged = [results / "demo" / "mlp-cifar10", committed / "small" / "mlp-cifar10"]
        (damaged[0] / "result.json").write_text("[]")
        (damaged[1] / "curves.csv").write_text("")
        with pytest.raises(ThermoError) as caught:
            book.assemble(results, committed=committed)
        for path in (damaged[0] / "result.json", damaged[1] / "curves.csv"):
            assert str(path) in str(caught.value)
        assert not (root / "book" / "chapters").exists()

    @pytest.mark.slow
    @pytest.mark.parametrize("name", ["benchmarks/growth.json", "mlp-cifar10/variants.json"])
    def test_so_does_any_other_damaged_file(self, root, committed, name):
        book.assemble(committed, committed=committed)
        before = contents(root / "book")
        (committed / "small" / name).parent.mkdir(exist_ok=True)
        (committed / "small" / name).write_text("{")
        (committed / "small" / name).with_suffix(".csv").write_text("")
        with pytest.raises(ThermoError, match=Path(name).name):
            book.assemble(committed, committed=committed)
        assert contents(root / "book") == before

    @pytest.mark.slow
    def test_so_does_a_page_that_cannot_be_made(self, root, committed, monkeypatch):
        book.assemble(committed, committed=committed)
        before = contents(root)

        def fail(*arguments):
            raise KeyError("a field that a record lacks")

        monkeypatch.setattr(book, "errata_page", fail)
        with pytest.raises(KeyError):
            book.assemble(committed, committed=committed)
        assert contents(root) == before  # and nothing is left behind

    @pytest.mark.slow
    def test_the_same_records_give_the_same_bytes(self, root, results, committed):
        book.assemble(results, committed=committed)
        before = contents(root)
        book.assemble(results, committed=committed, jobs=2)
        assert contents(root) == before

    def test_outside_a_clone(self, tmp_path, monkeypatch):
        monkeypatch.setattr(book, "ROOT", tmp_path)
        with pytest.raises(ThermoError, match=re.escape("pip install -e .")):
            book.assemble(tmp_path)
        assert list(tmp_path.iterdir()) == []

    def test_a_build_that_fails(self, root, tmp_path, monkeypatch):
        monkeypatch.setattr(book.sys, "executable", "false")
        with pytest.raises(ThermoError):
            book.build(tmp_path, committed=tmp_path)


class TestContents:
    def listed(self, path=SOURCES / "book" / "_toc.yml") -> list[str]:
        toc = yaml.safe_load(path.read_text())
        chapters = [c for part in toc["parts"] for c in part["chapters"]]
        below = [section["file"] for c in chapters for section in c.get("sections", [])]
        return [toc["root"], *(c["file"] for c in chapters), *below]

    def test_every_page_is_listed_once_and_exists(self, root, results, committed):
        book.assemble(results, committed=committed)
        folder = root / "book"
        listed = self.listed(folder / book.TOC)
        assert len(set(listed)) == len(listed)
        pages = [p for p in folder.rglob("*") if p.suffix in (".md", ".ipynb")]
        there = {str(p.relative_to(folder).with_suffix("")) for p in pages}
        assert set(listed) <= there
        here = ["runs/index", "runs/demo-mlp-cifar10"]
        assert [page for page in listed if page not in here] == self.listed()
        # Generated pieces are included in pages, not pages of their own.
        assert {page for page in there - set(listed) if not page.startswith("generated/")} == set()

    def test_chapters_are_in_the_order_of_the_figures(self):
        pages = [f"chapters/{c.name}" for c in CHAPTERS]
        assert [page for page in self.listed() if page.startswith("chapters/")] == pages

    @pytest.mark.slow
    def test_every_generated_piece_is_shown(self, root, committed):
        book.assemble(committed, committed=committed)
        generated = root / "book" / "generated"
        pages = [*(root / "book").glob("*.md"), *generated.glob("*.md")]
        text = "".join(p.read_text() for p in pages)
        for piece in {*generated.iterdir()} - {root / "book" / book.TOC, generated / "static"}:
            assert f"generated/{piece.name}" in text


class _Loads(HTMLParser):
    """Collects the addresses a browser fetches to show a page."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag in ("script", "img", "iframe", "source", "video"):
            self.addresses.append(given.get("src") or "")
        elif tag == "link" and given.get("rel") not in ("canonical", "next", "prev", "author"):
            self.addresses.append(given.get("href") or "")


@pytest.mark.slow
def test_the_site_of_nothing_builds_and_needs_no_network(root, tmp_path):
    first = book.build(tmp_path / "nowhere", committed=tmp_path / "nowhere")
    assert first == root / "_build" / "html" / "index.html"
    pages = sorted(first.parent.rglob("*.html"))
    assert len(pages) > len(CHAPTERS)
    for page in pages:
        text = page.read_text()
        loads = _Loads()
        loads.feed(text)
        foreign = [a for a in loads.addresses if re.match(r"(https?:)?//", a)]
        assert foreign == [], page.name
        # Modules that scripts within the page would import.
        assert not re.search(r"\bimport\b[^;\n]*[\"']https?://", text), page.name
    for style in first.parent.rglob("*.css"):
        fetched = r"(url\([\"']?|@import [\"'])(https?:)?//"
        assert not re.search(fetched, style.read_text()), style.name
    for chapter in CHAPTERS:
        shown = re.sub("<[^>]+>", "", (first.parent / f"chapters/{chapter.name}.html").read_text())
        assert f"thermo run {chapter.model} {chapter.dataset}" in shown


@pytest.mark.slow
def test_the_site_with_a_chapter_and_a_run_builds(root, results, committed):
    measured = results / "demo" / "benchmarks"
    measured.mkdir()
    speed = json.loads(
        (SOURCES / "results" / "small" / "benchmarks" / "mlp-cifar10.json").read_text()
    )
    speed["options"]["profile"] = "demo"
    (measured / "mlp-cifar10.json").write_text(json.dumps(speed))
    first = book.build(results, committed=committed)
    chapter = (first.parent / "chapters" / "mlp-cifar10.html").read_text()
    run = (first.parent / "runs" / "demo-mlp-cifar10.html").read_text()
    assert "from our own runs" in chapter
    assert "Once upon a time" not in chapter
    assert "Run on this machine" in run
    assert "Once upon a time" in run
    every = (first.parent / "runs" / "index.html").read_text()
    assert "Speed, measured here" in every
    assert 'href="../chapters/mlp-cifar10.html"' in every
    for loaded in (
        "panels/mlp-cifar10.svg",
        "data/mlp-cifar10.js",
        "records/mlp-cifar10/curves.csv",
    ):
        assert (first.parent / "_static" / loaded).exists()
