"""How the project is cited: every file that says so says the same."""

import datetime
import json
import re
import tomllib
from pathlib import Path

import pytest
import yaml

from companion.paper.citation import (
    AUTHORS_CODE,
    citation,
    codemeta,
    doi_address,
    paper,
    written,
    zenodo,
)
from thermo_utils.errors import ThermoError

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DOI = re.compile(r"10\.\d{4,9}/\S+")

#: Of the Citation File Format 1.2.0: what must be there, and what else may.
NEEDED = {"authors", "cff-version", "message", "title"}
ALLOWED = NEEDED | {
    "abstract", "commit", "contact", "date-released", "doi", "identifiers", "keywords", "license",
    "license-url", "preferred-citation", "references", "repository", "repository-artifact",
    "repository-code", "type", "url", "version",
}  # fmt: skip
NEEDED_OF_REFERENCE = {"authors", "title", "type"}
ALLOWED_OF_REFERENCE = NEEDED_OF_REFERENCE | {
    "date-published", "doi", "issue", "journal", "keywords", "notes", "repository-code", "start",
    "url", "volume", "year",
}  # fmt: skip
TYPES = {"article", "software-code"}
PERSON = {"affiliation", "family-names", "given-names"}


def references():
    return [paper(), *citation()["references"]]


def test_the_citation_file_is_one():
    cited = citation()
    assert set(cited) >= NEEDED
    assert set(cited) <= ALLOWED
    assert cited["cff-version"] == "1.2.0"
    assert cited["type"] == "software"
    assert len(set(cited["keywords"])) == len(cited["keywords"]) > 0


@pytest.mark.parametrize("reference", references(), ids=lambda reference: reference["title"][:12])
def test_its_references_are_some(reference):
    assert set(reference) >= NEEDED_OF_REFERENCE
    assert set(reference) <= ALLOWED_OF_REFERENCE
    assert reference["type"] in TYPES
    for author in reference["authors"]:
        assert set(author) == PERSON or set(author) == {"name"}
        assert all(isinstance(value, str) and value for value in author.values())


def test_the_paper_is_the_one_of_the_bibliography():
    cited = paper()
    text = (ROOT / "book/references.bib").read_text()
    entry = re.search(r"@article\{mehmood2026pruning,(.*?)\n\}", text, re.DOTALL)
    assert entry is not None
    fields = dict(re.findall(r"(\w+)\s*=\s*\{(.*)\},?\n", entry[1] + "\n"))
    authors = [f"{who['family-names']}, {who['given-names']}" for who in cited["authors"]]
    assert fields["author"] == " and ".join(authors)
    assert fields["title"] == cited["title"]
    assert fields["journal"].replace("\\", "") == cited["journal"]
    for name, ours in (("year", "year"), ("volume", "volume"), ("number", "issue"),
                       ("pages", "start"), ("doi", "doi")):  # fmt: skip
        assert fields[name] == str(cited[ours])


def test_the_paper_has_a_doi_that_its_address_is_made_of():
    cited = paper()
    assert DOI.fullmatch(cited["doi"])
    assert cited["url"] == doi_address(cited["doi"])
    assert datetime.date.fromisoformat(cited["date-published"]).year == cited["year"]
    assert "free energy" in cited["keywords"]


def test_the_other_files_follow_from_it():
    for name, text in written().items():
        found = (ROOT / name).read_text(encoding="utf-8")
        assert found == text, f"{name}: write it anew by python -m companion.paper.citation"


def test_all_agree_with_the_package():
    cited, meta, archive = citation(), codemeta(), zenodo()
    assert meta["name"] == PROJECT["name"]
    assert cited["version"] == meta["version"] == archive["version"] == PROJECT["version"]
    assert cited["license"] == archive["license"] == PROJECT["license"]
    assert meta["license"].endswith(f"/{PROJECT['license']}")
    assert cited["keywords"] == meta["keywords"] == archive["keywords"] == PROJECT["keywords"]
    assert meta["softwareRequirements"] == PROJECT["dependencies"]
    names = [author["name"] for author in PROJECT["authors"]]
    assert [author["name"] for author in cited["authors"]] == names
    assert [author["name"] for author in meta["author"]] == names
    assert [author["name"] for author in archive["creators"]] == names


def test_all_name_the_paper_and_the_code_of_its_authors():
    assert codemeta()["referencePublication"]["@id"] == doi_address(paper()["doi"])
    related = [entry["identifier"] for entry in zenodo()["related_identifiers"]]
    assert related == [paper()["doi"], AUTHORS_CODE]
    assert [other["repository-code"] for other in citation()["references"]] == [AUTHORS_CODE]


@pytest.mark.parametrize("name", ["CITATION.cff", "README.md", "book/errata.md"])
def test_who_looks_for_the_authors_own_code_finds_its_name_and_that_it_was_not_available(name):
    text = " ".join((ROOT / name).read_text(encoding="utf-8").split())
    assert AUTHORS_CODE in text
    assert "was not available to us" in text


def test_a_folder_without_the_files_is_told_so(tmp_path):
    with pytest.raises(ThermoError, match=r"CITATION\.cff cannot be read: take it from a clone"):
        citation(tmp_path)
    (tmp_path / "CITATION.cff").write_bytes((ROOT / "CITATION.cff").read_bytes())
    assert citation(tmp_path) == citation()
    with pytest.raises(ThermoError, match=r"pyproject\.toml cannot be read"):
        written(tmp_path)


def test_the_generated_files_are_json():
    for name in written():
        assert json.loads((ROOT / name).read_text(encoding="utf-8"))


def test_a_broken_citation_is_told_so(tmp_path):
    (tmp_path / "CITATION.cff").write_text("a: [")
    with pytest.raises(ThermoError, match="cannot be read"):
        citation(tmp_path)
    (tmp_path / "CITATION.cff").write_text(yaml.safe_dump("text"))
    with pytest.raises(ThermoError, match="cannot be read"):
        citation(tmp_path)


KINDS = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]


def test_the_changelog_has_a_part_for_every_version_newest_first():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    heads = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert heads[0] == "[Unreleased]"
    versions = [
        re.fullmatch(r"\[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d)", head) for head in heads[1:]
    ]
    assert all(versions)
    assert versions[0][1] == PROJECT["version"]
    dates = [datetime.date.fromisoformat(found[2]) for found in versions]
    assert dates == sorted(dates, reverse=True)
    for part in re.split(r"^## .+$", text, flags=re.MULTILINE)[1:]:
        kinds = re.findall(r"^### (.+)$", part, re.MULTILINE)
        assert kinds == [kind for kind in KINDS if kind in kinds] != []


def test_the_changelog_names_every_command():
    from companion.cli import _parser

    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    verbs = _parser()._subparsers._group_actions[0].choices
    assert [verb for verb in verbs if f"`thermo {verb}`" not in text] == []
