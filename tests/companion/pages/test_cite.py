"""The citation to copy: BibTeX that says what ``CITATION.cff`` says."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pybtex.database import parse_file, parse_string

from companion.pages.cite import FILE, bibtex, citations, how_to_cite
from thermo_utils.errors import ThermoError

ROOT = Path(__file__).parents[3]
#: What may stand between braces without a meaning of its own to BibTeX.
PLAIN = st.text(st.characters(codec="utf-8", exclude_characters="{}\\@\"'%~^,"), min_size=1).map(
    lambda text: " ".join(text.split()) or "x"
)


def parsed(text):
    (entry,) = parse_string(text, "bibtex").entries.values()
    return entry


def plain(text):
    """Without escapes, as TeX prints it."""
    return text.replace("\\", "").strip("{}")


def names(entry):
    return [" ".join(plain(part) for part in (*p.first_names, *p.middle_names, *p.last_names))
            for p in entry.persons["author"]]  # fmt: skip


@pytest.mark.parametrize("which", [0, 1])
def test_it_says_what_the_file_says(which):
    cff = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    given_ = (cff["preferred-citation"], cff)[which]
    entry = parsed(citations()[which])
    assert plain(entry.fields["title"]) == given_["title"]
    expected = [
        author.get("name") or f"{author['given-names']} {author['family-names']}"
        for author in given_["authors"]
    ]
    assert names(entry) == expected
    for name, field in (("volume", "volume"), ("number", "issue"), ("doi", "doi")):
        assert entry.fields.get(name) == (str(given_[field]) if field in given_ else None)


def test_the_paper_is_the_one_of_the_references():
    entry = parsed(citations()[0])
    known = parse_file(ROOT / "book" / "references.bib").entries["mehmood2026pruning"]
    assert entry.key == known.key
    assert names(entry) == names(known)
    for name in ("title", "journal", "year", "volume", "number", "pages", "doi"):
        assert entry.fields[name] == known.fields[name]
    assert "doi" in entry.fields


def test_it_is_shown_to_be_copied():
    text = how_to_cite()
    assert text.count("```bibtex\n") == 2
    assert all(f"```bibtex\n{one}\n```" in text for one in citations())


@given(title=PLAIN, family=PLAIN, given_name=PLAIN)
def test_any_words_come_back(title, family, given_name):
    author = {"family-names": "A" + family.replace(" and ", " "), "given-names": "B" + given_name}
    entry = parsed(bibtex({"title": title, "authors": [author, {"name": "C and D"}]}, "k"))
    assert plain(entry.fields["title"]) == title
    # "and" within the name of a group parts no authors.
    assert len(entry.persons["author"]) == 2
    assert plain(" ".join(entry.persons["author"][1].last_names)) == "C and D"


@pytest.mark.parametrize(
    ("reference", "kind", "fields"),
    [
        ({"type": "article", "start": 3, "end": 9}, "article", {"pages": "3--9"}),
        ({"type": "software", "version": "0.1.0"}, "misc", {"version": "0.1.0"}),
        ({"date-released": "2026-11-26"}, "misc", {"year": "2026"}),
        ({"repository-code": "https://a.b/c_d"}, "misc", {"url": "https://a.b/c_d"}),
        ({"doi": "10.1/x", "url": "https://doi.org/10.1/x"}, "misc", {"doi": "10.1/x"}),
    ],
)
def test_fields(reference, kind, fields):
    entry = parsed(bibtex({"title": "t", "authors": [{"name": "a"}], **reference}, "k"))
    assert entry.type == kind
    assert dict(entry.fields) == {"title": "t", **fields}


@pytest.mark.parametrize("missing", ["title", "authors"])
def test_what_every_citation_needs(missing):
    reference = {"title": "t", "authors": [{"name": "a"}]}
    del reference[missing]
    with pytest.raises(ThermoError, match=missing):
        bibtex(reference, "k")


@pytest.mark.parametrize("content", [None, "", "title: t", "- 1", "a: ["])
def test_a_file_without_the_paper_is_an_error(content, tmp_path):
    file = tmp_path / "CITATION.cff"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ThermoError, match="no citation of the paper"):
        citations(file)
