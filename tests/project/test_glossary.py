"""The glossary: every word in it is referred to, every symbol of the method is in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BOOK = ROOT / "book"
TEXT = (BOOK / "glossary.md").read_text(encoding="utf-8")
#: Pages on which words are met, and the module that writes the first of them.
PAGES = [*(page for page in BOOK.glob("*.md") if page.name != "glossary.md"),
         ROOT / "companion" / "pages" / "front.py"]  # fmt: skip
#: Letters of formulas that name nothing of ours: Euler's number, differentials, orders, probability
#: and the variables of integrals and sums.
PLAIN = {"e", "d", "O", "x", "i"}
GREEK = "tau|rho|beta|Sigma|sigma|lambda|mu|Delta"


def entries():
    """Words with their definitions."""
    body = re.search(r"^```\{glossary\}\n(.*?)^```$", TEXT, re.M | re.S)[1]
    lines = [line for line in body.splitlines() if not line.startswith(":")]
    found: dict[str, list[str]] = {}
    for line in lines:
        if line and not line.startswith(" "):
            found[line] = word = []
        elif line.strip():
            word.append(line.strip())
    return {word: " ".join(lines) for word, lines in found.items()}


def referred(text):
    """Words that a text refers to."""
    roles = re.findall(r"\{?\{term\}\}?`([^`]+)`", text)
    return {re.sub(r"^.*<(.+)>$", r"\1", role, flags=re.S).strip() for role in roles}


ENTRIES = entries()


def test_there_are_words_in_the_order_of_the_alphabet():
    assert len(ENTRIES) > 40
    assert list(ENTRIES) == sorted(ENTRIES)


@pytest.mark.parametrize("word", ENTRIES)
def test_every_word_is_defined_and_says_where_it_is_used(word):
    last = re.search(r"\*([^*]*)\*$", ENTRIES[word])
    assert last, "the last line says where the word is from"
    for page in re.findall(r"\]\(([\w-]+)\)", last[1]):
        labels = [f"({page})=" in p.read_text(encoding="utf-8") for p in BOOK.glob("*.md")]
        assert (BOOK / f"{page}.md").exists() or any(labels)
    assert "](" in last[1]


def test_every_word_is_referred_to_from_another_page_and_no_other_is():
    found = set().union(*(referred(page.read_text(encoding="utf-8")) for page in PAGES))
    assert found == set(ENTRIES)
    assert referred(TEXT) <= set(ENTRIES)


@pytest.mark.parametrize("page", ["method", "theory", "conclusion", "reading", "index"])
def test_these_pages_refer_to_words(page):
    assert len(referred((BOOK / f"{page}.md").read_text(encoding="utf-8"))) > 1


def formulas(text):
    """What stands between dollars and in blocks of mathematics."""
    text = re.sub(r"^:label:.*$", "", text, flags=re.M)
    blocks = re.findall(r"```\{math\}\n(.*?)```", text, re.S)
    rest = re.sub(r"```\{math\}\n.*?```|`[^`\n]+`", "", text, flags=re.S)
    return [*blocks, *re.findall(r"\$([^$]+)\$", rest)]


def symbols(text):
    """Greek and Latin letters that name something in the formulas of a page."""
    found = set()
    for formula in formulas(text):
        bare = re.sub(r"\\(?:text|mathrm|operatorname|mathbf)\{[^}]*\}", " ", formula)
        found |= set(re.findall(rf"\\(?:{GREEK})(?![A-Za-z])", bare))
        found |= set(re.findall(r"[A-Za-z]", re.sub(r"\\[A-Za-z]+", " ", bare)))
    return found - PLAIN


@pytest.mark.parametrize("page", ["method", "theory"])
def test_every_symbol_is_in_the_table(page):
    rows = TEXT.partition("## Words")[0]
    missing = symbols((BOOK / f"{page}.md").read_text(encoding="utf-8")) - symbols(rows)
    assert not missing


def test_symbols_are_told_from_the_rest():
    text = "$\\rho = M/N$ `$x$` and\n\n```{math}\n:label: eq-q\nT = \\frac{1}{\\tau}\n```\n"
    assert symbols(text) == {"\\rho", "M", "N", "T", "\\tau"}
