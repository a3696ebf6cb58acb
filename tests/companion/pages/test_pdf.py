"""The book as one PDF: pages in their order, links that stay in it, or one clear error."""

from __future__ import annotations

import io
import shutil

import pytest
from pypdf import PdfReader, PdfWriter
from pypdf.annotations import Link

from companion.pages import pdf
from companion.pages.pdf import Part, book_pdf, contents, merged
from thermo_utils.errors import ThermoError

NAVIGATION = """
<nav class="bd-docs-nav">
  <p class="caption"><span>The idea</span></p>
  <ul><li><a class="reference internal" href="method.html">The <b>method</b></a></li></ul>
  <p class="caption"><span>Networks</span></p>
  <ul>
    <li><a class="reference internal" href="chapters/mlp%20a.html">MLP</a>
      <ul><li><a class="reference internal" href="chapters/cnn.html">CNN</a></li></ul></li>
  </ul>
</nav>
"""
FILES = ("index.html", "method.html", "chapters/mlp a.html", "chapters/cnn.html")
PARTS = [
    Part("", (("The book", "index.html"),)),
    Part("The idea", (("The method", "method.html"),)),
    Part("Networks", (("MLP", "chapters/mlp a.html"), ("CNN", "chapters/cnn.html"))),
]


@pytest.fixture
def site(tmp_path):
    folder = tmp_path / "html"
    for name in FILES:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"<title>The book</title>{NAVIGATION}<p>words of {path.stem}</p>")
    return folder


def paper(pages: int, *links: str) -> bytes:
    """Empty pages, of different widths for each file, with links on the first."""
    writer = PdfWriter()
    for _ in range(pages):
        writer.add_blank_page(width=100 + pages, height=100)
    for link in links:
        writer.add_annotation(0, Link(rect=(0, 0, 9, 9), url=link))
    written = io.BytesIO()
    writer.write(written)
    return written.getvalue()


def outline(items, above=()):
    last = ""
    for item in items:
        if isinstance(item, list):
            yield from outline(item, (*above, last))
        else:
            last = item.title
            yield (*above, last), item


def test_contents_are_those_of_the_navigation(site):
    assert contents(site) == PARTS


def test_a_page_that_is_missing_is_told(site):
    (site / "chapters/cnn.html").unlink()
    with pytest.raises(ThermoError, match=r"chapters/cnn\.html"):
        contents(site)


def test_a_page_without_navigation_is_no_book(site):
    (site / "index.html").write_text("<title>The book</title>")
    with pytest.raises(ThermoError, match="any page beside the first"):
        contents(site)


def test_pages_follow_each_other_and_links_stay_in_the_book(site):
    root = site.resolve().as_uri()
    links = [
        f"{root}/chapters/cnn.html#training", f"{root}/chapters/mlp%20a.html",
        f"{root}/_static/data.csv", "https://doi.org/10.1000/1",
    ]  # fmt: skip
    papers = dict(zip(FILES, (paper(2), paper(1, *links), paper(3), paper(4)), strict=True))
    book = PdfReader(io.BytesIO(merged(site, PARTS, papers)))
    assert [round(page.mediabox.width) for page in book.pages] == [102] * 2 + [101] + [103] * 3 + [
        104
    ] * 4
    assert book.metadata is not None
    assert book.metadata.title == "The book"
    places = {path: book.get_destination_page_number(item) for path, item in outline(book.outline)}
    assert places == {
        ("The book",): 0, ("The idea",): 2, ("The idea", "The method"): 2,
        ("Networks",): 3, ("Networks", "MLP"): 3, ("Networks", "CNN"): 6,
    }  # fmt: skip
    actions = [note.get_object()["/A"] for note in book.pages[2]["/Annots"]]
    inside = [book.get_page_number(a["/D"][0].get_object()) for a in actions if a["/S"] == "/GoTo"]
    assert inside == [6, 3]
    assert [action["/URI"] for action in actions if action["/S"] == "/URI"] == [links[3]]
    assert str(site).encode() not in merged(site, PARTS, papers)


def test_without_a_site_or_a_browser(site, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ThermoError, match="apt-get install chromium"):
        book_pdf(site, tmp_path / "book.pdf")
    monkeypatch.setattr(shutil, "which", lambda name: "/bin/true")
    with pytest.raises(ThermoError, match="make read"):
        book_pdf(tmp_path / "nowhere", tmp_path / "book.pdf")


def test_a_browser_that_prints_nothing_leaves_nothing(site, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: "/bin/true")
    with pytest.raises(ThermoError, match=r"did not print .*index\.html"):
        book_pdf(site, tmp_path / "book.pdf")
    assert [path.name for path in tmp_path.iterdir()] == ["html"]


@pytest.mark.browser
@pytest.mark.skipif(
    shutil.which("chromium") is None, reason="no chromium: apt-get install chromium"
)
def test_a_browser_prints_a_small_book(site, capsys):
    assert list(pdf.main([str(site)])) == [f"{site.parent / 'book.pdf'}: 4 pages, 0.1 MB"]
    book = PdfReader(site.parent / "book.pdf")
    assert len(book.pages) == len(FILES)
    words = ["words of index", "words of method", "words of mlp a", "words of cnn"]
    for page, text in zip(book.pages, words, strict=True):
        assert text in " ".join(page.extract_text().split())
