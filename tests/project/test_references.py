"""References: each can be looked up, and what the pages cite is among them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pybtex.database import parse_file

ROOT = Path(__file__).parents[2]
ENTRIES = parse_file(ROOT / "book" / "references.bib").entries
#: What an address of each kind looks like; one of them must be there.
FORMS = {
    "doi": r"10\.\d{4,9}/\S+",
    "eprint": r"\d{4}\.\d{4,5}",
    "url": r"https://[\w.-]+/\S+",
}


def fields(entry):
    """Of an entry, by name in lower case."""
    return {name.lower(): value for name, value in entry.fields.items()}


def addresses(entry):
    return {name: value for name, value in fields(entry).items() if name in FORMS}


@pytest.mark.parametrize("key", ENTRIES)
def test_every_reference_can_be_looked_up(key):
    entry, found = fields(ENTRIES[key]), addresses(ENTRIES[key])
    assert found, "give it a doi, an eprint or a url"
    for name, value in found.items():
        assert re.fullmatch(FORMS[name], value), (name, value)
    if "eprint" in found:
        assert entry["archiveprefix"] == "arXiv"
        # A preprint is not from after the year of the work.
        assert 2000 + int(found["eprint"][:2]) <= int(entry["year"])


def test_no_two_references_share_an_address():
    found = [pair for entry in ENTRIES.values() for pair in addresses(entry).items()]
    assert len(found) == len(set(found))


def cited():
    """Keys named by the book's own pages."""
    pages = [*(ROOT / "book").glob("*.md"), *(ROOT / "notebooks").glob("*.md")]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    keys = re.findall(r"\{cite:\w+\}`([^`]+)`", text)
    return {key.strip() for group in keys for key in group.split(",")}


def test_what_is_cited_is_there():
    assert cited() <= set(ENTRIES)
    assert "mehmood2026pruning" in cited()


def test_the_paper_is_under_its_doi():
    entry = fields(ENTRIES["mehmood2026pruning"])
    assert entry["doi"] == "10.32604/cmc.2025.072735"
    assert (entry["volume"], entry["number"], entry["pages"]) == ("86", "3", "99")


def test_the_authors_code_is_named_and_said_to_be_out_of_reach():
    entry = fields(ENTRIES["hse2025code"])
    assert entry["url"] == "https://github.com/hse-scila/Activation_Pruning"
    assert "not available" in entry["note"]
    background = " ".join((ROOT / "book" / "background.md").read_text(encoding="utf-8").split())
    assert "{cite:p}`hse2025code`. It was not available to us" in background
