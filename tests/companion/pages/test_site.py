"""The book: assembled from whatever has been run, complete, and built without a warning."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
import yaml

from companion.pages import site as book
from companion.pages.your_model import PAGES
from companion.runs.chapters import CHAPTERS, Chapter
from thermo_utils.errors import ThermoError

SOURCES = Path(__file__).parents[3]


@pytest.fixture
def root(tmp_path, monkeypatch):
    """The book's sources in a folder of this test, without what was assembled before."""
    generated = shutil.ignore_patterns("chapters", "generated", "your_model*", "_build")
    shutil.copytree(SOURCES / "book", tmp_path / "site" / "book", ignore=generated)
    shutil.copy(SOURCES / "_config.yml", tmp_path / "site")
    monkeypatch.setattr(book, "ROOT", tmp_path / "site")
    return tmp_path / "site"


@pytest.fixture
def results(tmp_path, written):
    """Results with a finished chapter, and one whose record has no page."""
    folder = tmp_path / "results"
    for dataset in ("cifar10", "flowers102"):
        written(folder / "demo" / f"mlp-{dataset}", "mlp", dataset, profile="demo", synthetic=True)
    executed = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Fig. 2: ours")])
    nbformat.write(executed, folder / "demo" / "mlp-cifar10" / "chapter.ipynb")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


class TestAssemble:
    def test_without_any_record(self, root, tmp_path):
        book.assemble("small", tmp_path / "nowhere")
        for chapter in CHAPTERS:
            page = (root / "book" / "chapters" / f"{chapter.name}.md").read_text()
            assert page.startswith(f"# Fig. {chapter.figure}: {chapter.title}\n")
            assert f"thermo run {chapter.model} {chapter.dataset} --profile small\n" in page
        for page in PAGES.values():
            text = (root / "book" / f"{page.name}.md").read_text()
            assert text.startswith(f"# {page.title}\n")
            assert f"-p example {page.example}" in text
        assert not (tmp_path / "nowhere").exists()

    def test_with_a_chapter_and_a_record(self, root, results):
        book.assemble("demo", results)
        pages = root / "book" / "chapters"
        assert (pages / "mlp-cifar10.ipynb").exists()
        assert not (pages / "mlp-cifar10.md").exists()
        recorded = (pages / "mlp-flowers102.md").read_text()
        assert "thermo run mlp flowers102 --profile demo --frozen\n" in recorded
        assert len(list(pages.iterdir())) == len(CHAPTERS)

    def test_forgets_what_was_assembled_before(self, root, results, tmp_path):
        book.assemble("demo", results)
        book.assemble("demo", tmp_path / "nowhere")
        pages = root / "book" / "chapters"
        assert (pages / "mlp-cifar10.md").exists()
        assert not (pages / "mlp-cifar10.ipynb").exists()

    def test_executed_pages_for_your_model_take_precedence(self, root, results):
        book.assemble("demo", results)
        names = [page.name for page in PAGES.values()]
        executed = results / ".work" / f"{names[1]}.ipynb"
        executed.parent.mkdir()
        shutil.copy(results / "demo" / "mlp-cifar10" / "chapter.ipynb", executed)
        book.assemble("demo", results)
        found = sorted(p.name for p in (root / "book").glob("your_model*"))
        assert found == sorted([f"{names[0]}.md", f"{names[1]}.ipynb", f"{names[2]}.md"])

    def test_a_damaged_record_leaves_everything_in_place(self, root, results):
        book.assemble("demo", results)
        before = contents(root / "book")
        (results / "demo" / "mlp-flowers102" / "result.json").write_text("{")
        with pytest.raises(ThermoError, match="mlp-flowers102"):
            book.assemble("demo", results)
        assert contents(root / "book") == before

    def test_all_damaged_records_are_named(self, root, results):
        damaged = [results / "demo" / f"mlp-{name}" for name in ("cifar10", "flowers102")]
        shutil.copytree(damaged[0], damaged[0] / "seed-1")  # of seed 0
        (damaged[1] / "curves.csv").write_text("")
        with pytest.raises(ThermoError) as caught:
            book.assemble("demo", results)
        for path in (damaged[0] / "seed-1" / "result.json", damaged[1] / "curves.csv"):
            assert str(path) in str(caught.value)
        assert not (root / "book" / "chapters").exists()

    @pytest.mark.parametrize("name", ["benchmarks/growth.json", "mlp-cifar10/variants.json"])
    def test_so_does_any_other_damaged_file(self, root, results, name):
        book.assemble("demo", results)
        before = contents(root / "book")
        (results / "demo" / name).parent.mkdir(exist_ok=True)
        (results / "demo" / name).write_text("{")
        (results / "demo" / name).with_suffix(".csv").write_text("")
        with pytest.raises(ThermoError, match=Path(name).name):
            book.assemble("demo", results)
        assert contents(root / "book") == before

    def test_so_does_a_page_that_cannot_be_made(self, root, results, monkeypatch):
        book.assemble("demo", results)
        before = contents(root)

        def fail(*arguments):
            raise KeyError("a field that a record lacks")

        monkeypatch.setattr(book, "errata_page", fail)
        with pytest.raises(KeyError):
            book.assemble("demo", results)
        assert contents(root) == before  # and nothing is left behind

    def test_the_same_records_give_the_same_bytes(self, root, results):
        book.assemble("demo", results)
        before = contents(root)
        book.assemble("demo", results)
        assert contents(root) == before

    def test_every_file_of_results_is_read_once(self, root, results, monkeypatch):
        opened = Counter()
        real = Path.open

        def count(path, *arguments, **options):
            opened[path] += path.is_relative_to(results)
            return real(path, *arguments, **options)

        monkeypatch.setattr(Path, "open", count)
        book.assemble("demo", results)
        for dataset in ("cifar10", "flowers102"):
            for name in ("result.json", "curves.csv"):
                assert opened[results / "demo" / f"mlp-{dataset}" / name] == 1

    def test_chapters_that_were_added_change_nothing_of_the_papers(
        self, root, results, written, monkeypatch
    ):
        written(results / "demo" / "mine-cifar10", "mine", "cifar10", profile="demo", accuracy=0.99)
        book.assemble("demo", results)
        without = contents(root / "book" / "generated")
        assert "mine on cifar10" in without["other_runs.md"].decode()
        monkeypatch.setattr(book, "added", lambda profile: [Chapter("mine", "cifar10")])
        book.assemble("demo", results)
        changed = {
            name: text.decode()
            for name, text in contents(root / "book" / "generated").items()
            if text != without[name] and name not in ("floors.svg", "modules.md")  # of the sources
        }
        assert set(changed) == {"_toc.yml", "added.md", "other_runs.md", "status.md"}
        assert "mine on cifar10" not in changed.pop("other_runs.md")
        assert all("chapters/mine-cifar10" in text for text in changed.values())
        page = (root / "book" / "chapters" / "mine-cifar10.md").read_text()
        assert page.startswith("# mine on CIFAR-10\n")
        assert "thermo run mine cifar10 --profile demo --frozen\n" in page

    @pytest.mark.parametrize("profile", ["demo", "small", "paper"])
    def test_says_what_was_shown(self, root, tmp_path, profile):
        book.assemble(profile, tmp_path / "nowhere")
        banner = (root / "book" / "generated" / "profile.md").read_text()
        assert f"`{profile}`" in banner
        assert ("synthetic data" in banner) == (profile == "demo")

    def test_outside_a_clone(self, tmp_path, monkeypatch):
        monkeypatch.setattr(book, "ROOT", tmp_path)
        with pytest.raises(ThermoError, match=re.escape("pip install -e .")):
            book.assemble("demo", tmp_path)
        assert list(tmp_path.iterdir()) == []

    def test_a_build_that_fails(self, root, tmp_path, monkeypatch):
        monkeypatch.setattr(book.sys, "executable", "false")
        with pytest.raises(ThermoError):
            book.build("demo", tmp_path)


class TestContents:
    def listed(self, path=SOURCES / "book" / "_toc.yml") -> list[str]:
        toc = yaml.safe_load(path.read_text())
        return [toc["root"], *(c["file"] for part in toc["parts"] for c in part["chapters"])]

    def test_every_page_is_listed_once_and_exists(self, root, tmp_path):
        book.assemble("demo", tmp_path / "nowhere")
        listed = self.listed()
        assert len(set(listed)) == len(listed)
        folder = root / "book"
        pages = [p for p in folder.rglob("*") if p.suffix in (".md", ".ipynb")]
        there = {str(p.relative_to(folder).with_suffix("")) for p in pages}
        assert set(listed) <= there
        assert self.listed(folder / book.TOC) == listed  # with nothing added
        # Generated pieces are included in pages, not pages of their own.
        assert {page for page in there - set(listed) if not page.startswith("generated/")} == set()

    def test_chapters_are_in_the_order_of_the_figures(self):
        pages = [f"chapters/{c.name}" for c in CHAPTERS]
        assert [page for page in self.listed() if page.startswith("chapters/")] == pages

    def test_every_generated_piece_is_shown(self, root, tmp_path):
        book.assemble("demo", tmp_path / "nowhere")
        pages = [*(root / "book").glob("*.md"), *(root / "book" / "generated").glob("*.md")]
        text = "".join(p.read_text() for p in pages)
        for piece in {*(root / "book" / "generated").iterdir()} - {root / "book" / book.TOC}:
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
        shown = re.sub("<[^>]+>", "", (first.parent / f"chapters/{chapter.name}.html").read_text())
        assert f"thermo run {chapter.model} {chapter.dataset}" in shown


@pytest.mark.slow
def test_the_site_with_a_chapter_builds(root, results):
    first = book.build("demo", results)
    assert "Fig. 2: ours" in (first.parent / "chapters" / "mlp-cifar10.html").read_text()
