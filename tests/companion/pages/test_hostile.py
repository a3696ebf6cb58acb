"""Text of others in records and beside them: shown as text, in every page, whatever is in it."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.formatters import HTMLFormatter
from markdown_it.renderer import RendererHTML
from myst_parser.config.main import MdParserConfig
from myst_parser.parsers.mdit import create_md_parser

from companion.pages import gathered, site
from companion.pages.chapter import Page, settings_table
from companion.pages.errata import errata_page
from companion.pages.escape import in_figure, in_html, in_markdown
from companion.pages.ledger import pieces
from companion.pages.overview import other_runs_table, results_table, status_table
from companion.pages.paper_tables import paper_table
from companion.pages.speed import speed_page
from companion.pages.variants import variants_page
from companion.runs.chapters import CHAPTERS
from companion.runs.committed import LIST
from companion.runs.records import RESULT, read_record, sha256
from companion.runs.settings import settings
from companion.runs.variant_files import read_variants
from tests.companion.pages.conftest import made
from thermo_utils import ThermoError

ROOT = Path(__file__).parents[3]
COMMITTED = ROOT / "results" / "small"
#: What a payload does if it runs, and a word of the same kind that does nothing.
RUNS = "document.documentElement.dataset.hacked=1"
HARMLESS = "harmless words"
PAYLOADS = [
    f"<script>{RUNS}</script>",
    f"<img src=x onerror={RUNS}>",
    f'"><svg onload="{RUNS}">',
    f"[a](javascript:{RUNS}) ![a](x) <javascript:{RUNS}> ](javascript:{RUNS})",
    "a | b |",
    "a `b` ``c`` *d* **e** _f_ __g__ ~~h~~",
    "{{ a }} {math}`a` {raw}`html` $x$ $$y$$",
    "&lt;script&gt;\\",
    "\n# a\n",
    f"\n\n<script>{RUNS}</script>\n\n- b\n\n    c\n\n",
    f"\n\n```{{raw}} html\n<script>{RUNS}</script>\n```\n",
    "::: note\na\n:::",
    "1. a",
    "---",
    "</td></tr></table></div><h1>a</h1>",
    "\x00\x1b[2J\u202e",
]
EVERYTHING = " ".join(PAYLOADS)
#: Strings of a record that are no free text, and refused if they are anything else.
FIXED = {
    "model", "dataset", "profile", "settings.model", "settings.dataset", "settings.profile",
    "curves_sha256",
    *(f"features.{k}.{name}" for k in range(3) for name in ("method", "kind")),
    *(f"thresholds.{method}.kind" for method in ("accuracy", "full", "renormalized")),
}  # fmt: skip

_config = yaml.safe_load((ROOT / "_config.yml").read_text())
_parser = create_md_parser(
    MdParserConfig(enable_extensions=set(_config["parse"]["myst_enable_extensions"])),
    RendererHTML,
)


class _Elements(HTMLParser):
    """Elements with their attributes, in order, and ends."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[object] = []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, tuple(attrs)))

    def handle_endtag(self, tag):
        self.found.append(tag)


def elements(text: str) -> list[object]:
    parser = _Elements()
    parser.feed(text)
    parser.close()
    return parser.found


def structure(markdown: str) -> list[object]:
    """Everything in a page but its text."""
    found: list[object] = []
    for token in _parser.parse(markdown):
        for part in (token, *(token.children or ())):
            if part.type in ("html_block", "html_inline"):
                found += elements(part.content)
            elif part.type not in ("text", "text_special"):
                found.append((part.type, part.tag, tuple(sorted(part.attrs.items()))))
    return found


def leaves(value: object, path: str = "") -> list[str]:
    """Where the strings of a nested value are."""
    if isinstance(value, str):
        return [path]
    if isinstance(value, list):
        value = dict(enumerate(value))
    items = value.items() if isinstance(value, dict) else ()
    return [leaf for k, item in items for leaf in leaves(item, f"{path}.{k}" if path else f"{k}")]


def planted(value, paths, text):
    """A copy with some strings replaced."""
    copy = json.loads(json.dumps(value))
    for path in paths:
        *above, last = path.split(".")
        place = copy
        for name in above:
            place = place[int(name) if isinstance(place, list) else name]
        place[int(last) if isinstance(place, list) else last] = text
    return copy


def full(text: str) -> dict[str, object]:
    """Fields that hold strings of others, as many as there are."""
    result = made()[0]
    result["settings"] |= {
        "tokenizer": text, "checkpoint": text, "differs": [text], "options": {"a": text},
    }  # fmt: skip
    result["data"]["departures"] = [text]
    for stage in result["stages"].values():
        stage |= {"weights": text, "data": {"source": text, "fingerprint": text}}
    return result


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    from companion.runs.records import write_record

    result = full(HARMLESS)
    del result["curves_sha256"], result["format"]
    folder = tmp_path_factory.mktemp("hostile") / "small" / "mlp-cifar10"
    write_record(folder, result, made()[1])
    return folder


@pytest.fixture(scope="module")
def good(folder):
    return json.loads((folder / RESULT).read_text())


@pytest.fixture(scope="module")
def free(good):
    return [path for path in leaves(good) if path not in FIXED]


def record(folder, result):
    (folder / RESULT).write_text(json.dumps(result))
    return read_record(folder)


def beside(text: str):
    """A table of alternatives and measurements of speed with a text in every string."""
    found = read_variants(COMMITTED / "mlp-cifar10")
    assert found is not None
    table, facts = found
    for name in ("alternative", "rfe_kind", "fe_kind", "acc_kind"):
        table[name] = text
    table.loc[1:, "choice"] = text
    speed = json.loads((COMMITTED / "benchmarks" / "mlp-cifar10.json").read_text())
    return [
        (table, planted(facts, leaves(facts), text)),
        planted(speed, [path for path in leaves(speed) if path != "options.profile"], text),
    ]


def pages(found, text: str) -> dict[str, str]:
    """All that is made from a record and what lies beside it, as Markdown."""
    runs = {c: [found] if c.name == "mlp-cifar10" else [] for c in CHAPTERS}
    variants, speed = beside(text)
    by_name = {"mlp-cifar10": found}
    return {
        "results": results_table(runs),
        "status": status_table(runs),
        "other_runs": other_runs_table([found]),
        **{f"table{number}": paper_table(number, runs) for number in (1, 2, 3, 4)},
        **pieces({name: [record] for name, record in by_name.items()}),
        "errata": errata_page({name: [record] for name, record in by_name.items()}),
        "variants": variants_page({"mlp-cifar10": variants}, by_name),
        "speed": speed_page({"mlp-cifar10": speed}),
    }


def outputs(found) -> dict[str, str]:
    """What the notebook of a chapter shows, as HTML."""
    page = Page(found, siblings=[])
    kept = found.result["settings"]
    chosen = replace(
        settings("mlp", "cifar10", "small"), checkpoint=kept["checkpoint"],
        options=kept["options"], differs=tuple(kept["differs"]),
    )  # fmt: skip
    tables = {
        "settings": settings_table(chosen), "provenance": page.provenance(),
        "claims": page.claims(), "seeds": page.seeds(), "features": page.features(),
        "thresholds": page.thresholds(), "firmness": page.firmness(), "timings": page.timings(),
        "history": pd.DataFrame(found.result["history"]),
    }  # fmt: skip
    with pd.option_context("display.max_colwidth", None):
        return {name: HTMLFormatter()(table) for name, table in tables.items()}


def test_a_string_is_free_text_or_refused(folder, good, free):
    assert len(free) > 30
    for path in leaves(good):
        for text in (PAYLOADS[0], EVERYTHING):
            hostile = planted(good, [path], text)
            if path in FIXED:
                with pytest.raises(ThermoError) as caught:
                    record(folder, hostile)
                assert str(caught.value).isprintable()
            else:
                assert record(folder, hostile).result == hostile


def test_no_text_becomes_an_element_of_a_page(folder, good, free):
    plain = pages(record(folder, planted(good, free, HARMLESS)), HARMLESS)
    hostile = pages(record(folder, planted(good, free, EVERYTHING)), EVERYTHING)
    shown = [name for name, text in plain.items() if HARMLESS[:10] in text]
    assert {"status", "claims_table", "variants", "speed"} <= set(shown)
    for name, text in plain.items():
        assert structure(hostile[name]) == structure(text), name


@pytest.mark.parametrize("payload", PAYLOADS, ids=range(len(PAYLOADS)))
def test_no_text_alone_either(payload):
    for template in ("| a | b |\n| --- | --- |\n| {} | x |\n", "{}. More.\n", "a {} b\n", "# {}\n"):
        plain = structure(template.format(HARMLESS))
        assert structure(template.format(in_markdown(payload))) == plain
    block = '<div>\n<p title="{0}">{0}</p>\n</div>\n'
    (tag, ((name, value),)) = elements(block.format(in_html(payload)))[1]
    assert (tag, name) == ("p", "title")
    assert value == html.unescape(in_html(payload))
    assert len(structure(block.format(in_html(payload)))) == len(structure(block.format("a")))


@given(st.text())
def test_any_text_comes_back_as_it_was(text):
    seen = "".join(c if c.isprintable() else "\ufffd" for c in " ".join(text.split()))
    assert html.unescape(in_html(text)) == seen
    assert html.unescape(in_markdown(text)) == seen
    tokens = _parser.parse(f"a {in_markdown(text)} b")
    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"]
    assert {part.type for part in tokens[1].children} <= {"text", "text_special"}
    assert "".join(part.content for part in tokens[1].children).split() == f"a {seen} b".split()


def test_no_text_becomes_an_element_of_a_notebook(folder, good, free):
    def shown(text):
        result = planted(good, free, text)
        result["provenance"]["packages"][text] = text  # names are text of others too
        result["settings"]["options"][text] = text
        result["history"][0][text] = text
        return outputs(record(folder, result))

    plain, hostile = shown(HARMLESS), shown(EVERYTHING)
    assert [name for name, text in plain.items() if HARMLESS in text]
    for name, text in plain.items():
        assert elements(hostile[name]) == elements(text), name


@pytest.mark.parametrize("text", ["$\\foo$", "$", "a $x$ b", "<b>$\\frac{$</b>", "\x00\n\u202e"])
def test_a_title_is_drawn_as_it_is(text):
    figure = plt.figure()
    title = figure.suptitle(in_figure(text))
    figure.canvas.draw()  # mathematics that is none would fail here
    assert "$x$" not in title.get_text()
    plt.close(figure)


def test_a_network_of_any_name(tmp_path, written):
    name = f"<img src=x onerror={RUNS}>$\\foo$"
    folder = written(tmp_path / "mine" / f"{name}-digits", name, "digits", profile="mine")
    page = Page(read_record(folder))
    page.training().canvas.draw()
    page.six_panels().canvas.draw()
    assert "img" not in Counter(e[0] for e in elements(page.claims()._repr_html_()))


def test_the_book_takes_no_output_for_mathematics():
    classes = _config["sphinx"]["config"]["myst_mathjax_classes"]
    assert "output_area" not in classes.split("|")


CHROMIUM = shutil.which("chromium")


def seen(page: Path) -> dict[str, str | None]:
    """The attributes of a page's first element, after its scripts have run in a browser."""
    command = [
        str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom",
        "--virtual-time-budget=3000", page.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    first, attributes = next(e for e in elements(done.stdout) if isinstance(e, tuple))
    assert first == "html"
    return dict(attributes)


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.timeout(1200)
@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium: apt-get install chromium")
def test_nothing_runs_in_a_browser(tmp_path, monkeypatch, folder, good, free):
    control = tmp_path / "control.html"
    control.write_text(f"<!doctype html><html><p>{PAYLOADS[0]}</p></html>")
    assert "data-hacked" in seen(control)  # a payload that is let through does run

    results, committed = tmp_path / "results", tmp_path / "committed"
    hostile = record(folder, planted(good, free, EVERYTHING))
    for place in (results, committed):
        shutil.copytree(folder, place / "small" / "mlp-cifar10")
    digest = sha256((folder / "result.json").read_bytes())
    (committed / LIST).write_text(json.dumps({"small/mlp-cifar10": digest}))
    cells = [nbformat.v4.new_markdown_cell("# MLP on CIFAR-10")]
    for text in outputs(hostile).values():
        shown = nbformat.v4.new_output("display_data", {"text/html": text, "text/plain": text})
        cells.append(nbformat.v4.new_code_cell("page", outputs=[shown]))
    python = {"language_info": {"name": "python", "pygments_lexer": "ipython3"}}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=python)
    nbformat.write(notebook, results / "small" / "mlp-cifar10" / "chapter.ipynb")
    variants, speed = beside(EVERYTHING)
    monkeypatch.setattr(
        gathered, "chapters_with_variants", lambda *arguments: {"mlp-cifar10": variants}
    )
    monkeypatch.setattr(gathered, "read_speed", lambda *arguments: {"mlp-cifar10": speed})
    ignored = shutil.ignore_patterns("chapters", "generated", "runs", "your_model*", "_build")
    shutil.copytree(ROOT / "book", tmp_path / "site" / "book", ignore=ignored)
    shutil.copy(ROOT / "_config.yml", tmp_path / "site")
    monkeypatch.setattr(site, "ROOT", tmp_path / "site")
    first = site.build(results, committed=committed)
    pages = [p for p in first.parent.rglob("*.html") if RUNS in html.unescape(p.read_text())]
    names = {page.stem for page in pages}
    assert {"status", "claims", "errata", "speed", "mlp-cifar10", "small-mlp-cifar10"} <= names
    for page in pages:
        assert "data-hacked" not in seen(page), page.name
        assert not re.search(r"href=.?javascript:", page.read_text()), page.name
