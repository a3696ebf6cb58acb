"""The book: assembled from whatever has been run, complete, and built without a warning."""

from __future__ import annotations

import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
import yaml

from companion.networks.models import ARCHITECTURES
from companion.pages import site as book
from companion.pages.paper_tables import paper_table
from companion.pages.tables import NOT_RUN, results_table, status_table
from companion.runs.chapters import CHAPTERS, TITLES
from companion.runs.experiment import Experiment
from companion.runs.records import read_record
from thermo_utils.errors import ThermoError

SOURCES = Path(__file__).parents[3]
NOTHING = dict.fromkeys(CHAPTERS)


@pytest.fixture
def root(tmp_path, monkeypatch):
    """The book's sources in a folder of this test, without what was assembled before."""
    generated = shutil.ignore_patterns("chapters", "generated", "your_model.*", "_build")
    shutil.copytree(SOURCES / "book", tmp_path / "site" / "book", ignore=generated)
    shutil.copy(SOURCES / "_config.yml", tmp_path / "site")
    monkeypatch.setattr(book, "ROOT", tmp_path / "site")
    return tmp_path / "site"


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Results with a finished chapter, and one whose record has no page."""
    folder = tmp_path_factory.mktemp("results")
    sizes = {"train_size": 102, "validation_size": 102, "test_size": 102, "epochs": 1}
    for dataset in ("cifar10", "flowers102"):
        Experiment(
            "mlp", dataset, results=folder, progress=False, tau_step=0.2, tau_max=2.0, **sizes
        ).save()
    executed = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Fig. 2: ours")])
    nbformat.write(executed, folder / "demo" / "mlp-cifar10" / "chapter.ipynb")
    return folder


def records(results):
    return {c: read_record(results / "demo" / c.name) for c in CHAPTERS}


def row(table: str, name: str) -> list[str]:
    """Cells of the row that links to a chapter."""
    (line,) = (line for line in table.splitlines() if f"(chapters/{name})" in line)
    return [cell.strip() for cell in line.strip("|").split("|")]


class TestAssemble:
    def test_without_any_record(self, root, tmp_path):
        book.assemble("small", tmp_path / "nowhere")
        for chapter in CHAPTERS:
            page = (root / "book" / "chapters" / f"{chapter.name}.md").read_text()
            assert page.startswith(f"# Fig. {chapter.figure}: ")
            assert "has not been run at the profile `small`" in page
            assert f"thermo run {chapter.model} {chapter.dataset} --profile small\n" in page
        assert (root / "book" / "your_model.md").exists()
        assert not (tmp_path / "nowhere").exists()

    def test_with_a_chapter_and_a_record(self, root, results):
        book.assemble("demo", results)
        pages = root / "book" / "chapters"
        assert (pages / "mlp-cifar10.ipynb").exists()
        assert not (pages / "mlp-cifar10.md").exists()
        recorded = (pages / "mlp-flowers102.md").read_text()
        assert "has not been run" not in recorded
        assert "thermo run mlp flowers102 --profile demo --frozen\n" in recorded
        assert len(list(pages.iterdir())) == len(CHAPTERS)

    def test_forgets_what_was_assembled_before(self, root, results, tmp_path):
        book.assemble("demo", results)
        book.assemble("demo", tmp_path / "nowhere")
        pages = root / "book" / "chapters"
        assert (pages / "mlp-cifar10.md").exists()
        assert not (pages / "mlp-cifar10.ipynb").exists()

    def test_the_executed_page_for_your_model_takes_precedence(self, root, results):
        executed = results / ".work" / "your_model.ipynb"
        shutil.copy(results / "demo" / "mlp-cifar10" / "chapter.ipynb", executed)
        book.assemble("demo", results)
        assert [p.name for p in (root / "book").glob("your_model.*")] == ["your_model.ipynb"]

    @pytest.mark.parametrize("profile", ["demo", "small", "paper"])
    def test_says_what_was_shown(self, root, tmp_path, profile):
        book.assemble(profile, tmp_path / "nowhere")
        banner = (root / "book" / "generated" / "profile.md").read_text()
        assert f"`{profile}`" in banner
        assert ("synthetic data" in banner) == (profile == "demo")

    def test_outside_a_clone(self, tmp_path, monkeypatch):
        monkeypatch.setattr(book, "ROOT", tmp_path)
        with pytest.raises(ThermoError, match="install the package from a clone"):
            book.assemble("demo", tmp_path)
        assert list(tmp_path.iterdir()) == []

    def test_a_build_that_fails(self, root, tmp_path, monkeypatch):
        monkeypatch.setattr(book.sys, "executable", "false")
        with pytest.raises(ThermoError, match="did not build"):
            book.build("demo", tmp_path)


class TestContents:
    def listed(self) -> list[str]:
        toc = yaml.safe_load((SOURCES / "book" / "_toc.yml").read_text())
        return [toc["root"], *(c["file"] for part in toc["parts"] for c in part["chapters"])]

    def test_every_page_is_listed_once_and_exists(self, root, tmp_path):
        book.assemble("demo", tmp_path / "nowhere")
        listed = self.listed()
        assert len(set(listed)) == len(listed)
        folder = root / "book"
        pages = [p for p in folder.rglob("*") if p.suffix in (".md", ".ipynb")]
        there = {str(p.relative_to(folder).with_suffix("")) for p in pages}
        assert set(listed) <= there
        # Generated pieces are included in pages, not pages of their own.
        assert {page for page in there - set(listed) if not page.startswith("generated/")} == set()

    def test_chapters_are_in_the_order_of_the_figures(self):
        pages = [f"chapters/{c.name}" for c in CHAPTERS]
        assert [page for page in self.listed() if page.startswith("chapters/")] == pages

    def test_every_generated_piece_is_shown(self, root, tmp_path):
        book.assemble("demo", tmp_path / "nowhere")
        pages = [*(root / "book").glob("*.md"), *(root / "book" / "generated").glob("*.md")]
        text = "".join(p.read_text() for p in pages)
        for piece in (root / "book" / "generated").iterdir():
            assert f"generated/{piece.name}" in text

    def test_titles_agree_with_the_registry(self):
        assert set(TITLES) == {c.model for c in CHAPTERS} == set(ARCHITECTURES)
        for name, architecture in ARCHITECTURES.items():
            assert TITLES[name] == architecture.title


class TestTables:
    def test_what_was_not_run_is_never_a_number(self):
        results, status = results_table(NOTHING), status_table(NOTHING)
        for chapter in CHAPTERS:
            cells = row(results, chapter.name)
            assert [cells[3], *cells[5:9], cells[-1]] == [NOT_RUN] * 6
            assert row(status, chapter.name)[1:] == [NOT_RUN, *[""] * 6]
        for number in (1, 2, 3, 4):
            table = paper_table(number, NOTHING)
            ours = re.findall(r'class="ours">(.*?)</span>', table)
            assert ours
            assert set(ours) == {NOT_RUN}

    def test_what_was_run_is_that_of_the_record(self, results):
        all_records = records(results)
        result = all_records[CHAPTERS[0]].result
        cells = row(results_table(all_records), "mlp-cifar10")
        assert cells[3] == f"{100 * result['metrics']['test_accuracy']:.1f} %"
        for method, cell in zip(("accuracy", "full", "renormalized"), cells[6:9], strict=True):
            threshold = result["thresholds"][method]
            if threshold is None:
                assert cell == "none found"
            else:
                assert f"{threshold['tau']:.3g}" in cell
        assert cells[5] == f"{100 * result['data']['most_frequent']:.1f} %"
        assert cells[-1] == ("yes" if result["match"] else "no")
        status = row(status_table(all_records), "mlp-cifar10")
        assert status[1] == "0"
        assert status[6] == result["provenance"]["device"]
        assert row(results_table(all_records), "cnn-cifar10")[3] == NOT_RUN

    def test_no_threshold_found_is_said(self, results):
        record = records(results)[CHAPTERS[0]]
        record.result["thresholds"] = dict.fromkeys(record.result["thresholds"])
        table = results_table({**NOTHING, CHAPTERS[0]: record})
        assert row(table, "mlp-cifar10")[6:9] == ["none found"] * 3

    def test_every_row_has_all_columns(self, results):
        for table in (results_table(records(results)), status_table(records(results))):
            lines = table.strip().splitlines()
            assert len(lines) == 2 + len(CHAPTERS)
            assert len({line.count("|") for line in lines}) == 1


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
    first = book.build("demo", tmp_path / "nowhere")
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
        assert "has not been run" in (first.parent / f"chapters/{chapter.name}.html").read_text()


@pytest.mark.slow
def test_the_site_with_a_chapter_builds(root, results):
    first = book.build("demo", results)
    assert "Fig. 2: ours" in (first.parent / "chapters" / "mlp-cifar10.html").read_text()
