"""A small site built with the book's settings: what its pages say and load, and its buttons."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml
from bs4 import BeautifulSoup

from companion.runs.provenance import ROOT

pytestmark = pytest.mark.slow

PAGES = {
    "index.md": """# The book

A first paragraph, with a formula $\\tau^*$ and more than forty letters.
""",
    "method.md": """# Method

## A part

Short.

```{note}
An aside of many words that opens nothing.
```
""",
}
PYTHON = {"language_info": {"name": "python", "pygments_lexer": "ipython3"}}
CELLS = [
    nbformat.v4.new_markdown_cell(
        "# MLP on CIFAR-10\n\nA chapter that was executed on a machine.\n\n## B"
    ),
    nbformat.v4.new_code_cell("print(1)", metadata={"tags": ["hide-input"]}),
]
CONTENTS = {
    "format": "jb-book",
    "root": "index",
    "parts": [
        {"caption": "All", "chapters": [{"file": "method"}, {"file": "chapters/mlp-cifar10"}]}
    ],
}


def build(folder, **repository) -> subprocess.CompletedProcess[str]:
    book = folder / "book"
    (book / "chapters").mkdir(parents=True)
    for name in ("static", "templates"):
        shutil.copytree(ROOT / "book" / name, book / name)
    (book / "generated" / "static").mkdir(parents=True)
    shutil.copy(ROOT / "book" / "references.bib", book)
    for name, text in PAGES.items():
        (book / name).write_text(text)
    notebook = nbformat.v4.new_notebook(cells=CELLS, metadata=PYTHON)
    nbformat.write(notebook, book / "chapters" / "mlp-cifar10.ipynb")
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    config["sphinx"]["config"]["html_theme_options"] |= repository
    (folder / "_config.yml").write_text(yaml.safe_dump(config))
    (folder / "_toc.yml").write_text(yaml.safe_dump(CONTENTS))
    command = [
        sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build", str(book),
        "--config", str(folder / "_config.yml"), "--toc", str(folder / "_toc.yml"),
        "--path-output", str(folder), "--warningiserror", "--keep-going",
    ]  # fmt: skip
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """With an address, as it will be once the project has one."""
    folder = tmp_path_factory.mktemp("site")
    done = build(
        folder, repository_url="https://github.com/someone/pruning", repository_branch="trunk"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "_build" / "html"


def pages(site) -> list[Path]:
    return [path for path in site.rglob("*.html") if "_static" not in path.parts]


def soup(site, name) -> BeautifulSoup:
    return BeautifulSoup((site / name).read_text(encoding="utf-8"), "html.parser")


def buttons(page: BeautifulSoup) -> dict[str, str]:
    found = page.select(".article-header-buttons a.btn")
    return {
        a.get_text(strip=True): str(a["href"])
        for a in found
        if "github" in str(a["href"]) or "binder" in str(a["href"])
    }


def test_a_chapter_is_edited_and_run(site):
    address = "https://github.com/someone/pruning"
    assert buttons(soup(site, "chapters/mlp-cifar10.html")) == {
        "Repository": address,
        "Edit": f"{address}/edit/trunk/notebooks/mlp.md",
        "Binder": "https://mybinder.org/v2/gh/someone/pruning/trunk?urlpath=lab%2Ftree%2Fnotebooks%2Fmlp.md",
        "Colab": "https://colab.research.google.com/github/someone/pruning/blob/gh-pages/_sources/chapters/mlp-cifar10.ipynb",
    }
    assert (site / "_sources/chapters/mlp-cifar10.ipynb").exists()  # what Colab is sent to


def test_prose_is_edited(site):
    address = "https://github.com/someone/pruning"
    found = {"Repository": address, "Edit": f"{address}/edit/trunk/book/method.md"}
    assert buttons(soup(site, "method.html")) == found


def test_no_address_no_buttons_and_a_wrong_one_is_told(tmp_path):
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    assert config["sphinx"]["config"]["html_theme_options"]["repository_url"] == ""
    done = build(tmp_path, repository_url="https://example.org/someone")
    assert done.returncode != 0
    assert "https://github.com/OWNER/NAME" in done.stdout + done.stderr
    assert not (tmp_path / "_build" / "html" / "index.html").exists()


def test_descriptions(site):
    lines = {
        name: soup(site, name).find("meta", attrs={"name": "description"})["content"]
        for name in ("index.html", "method.html", "chapters/mlp-cifar10.html", "search.html")
    }
    assert lines == {
        "index.html": "A first paragraph, with a formula τ* and more than forty letters.",
        "method.html": "Method: Short.",
        "chapters/mlp-cifar10.html": "A chapter that was executed on a machine.",
        "search.html": "Search: Pruning as a phase transition",
    }


def test_nothing_prepares_to_run_code_in_a_page(site):
    for path in pages(site):
        text = path.read_text(encoding="utf-8")
        assert "thebe" not in text.lower()
        assert "fontawesome.js" not in text
        scripts = [str(s) for s in soup(site, path).find_all("script")]
        assert len(set(scripts)) == len(scripts)


def test_only_the_search_loads_the_words(site):
    loading = {p.name for p in pages(site) if "search-texts.js" in p.read_text("utf-8")}
    assert loading == {"search.html"}
    script = (site / "_static" / "search-texts.js").read_text(encoding="utf-8")
    texts = json.loads(script.removeprefix("window.pageTexts = ").removesuffix(";\n"))
    assert texts["method"] == {
        "method": ["Method"],
        "a-part": ["A part", "Short.", "Note", "An aside of many words that opens nothing."],
    }
    assert set(texts) == {"index", "method", "chapters/mlp-cifar10"}


def test_chapters_have_no_contents_beside_them(site):
    assert not soup(site, "chapters/mlp-cifar10.html").select(".bd-sidebar-secondary")
    assert soup(site, "method.html").select(".bd-sidebar-secondary")
