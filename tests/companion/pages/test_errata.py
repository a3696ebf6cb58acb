"""The page of contradictions: every row, numbered, with what was measured beside it."""

from __future__ import annotations

import re

import pytest

from companion.pages.errata import errata_page
from companion.paper.errata import KINDS, errata
from tests.companion.paper.hand_record import record

ROWS = errata()
NUMBERED = re.compile(r"^\*\*(\d+)\. (.*)\.\*\*", re.MULTILINE)


def entry(page, number):
    """The text from one number to the next."""
    start = page.index(f"**{number}. ")
    return re.split(r"\n\*\*|\n## ", page[start:])[0].strip()


def test_every_row_stands_in_the_order_of_the_kinds_with_its_number():
    page = errata_page({})
    found = NUMBERED.findall(page)
    assert [int(number) for number, _ in found] == list(range(1, len(ROWS) + 1))
    assert [title for _, title in found] == list(ROWS["title"])
    headings = re.findall(r"^## (.*)$", page, re.MULTILINE)
    assert headings == list(KINDS.values())


def test_an_entry_has_both_places_the_problem_and_the_chapters():
    page = errata_page({})
    for number, row in enumerate(ROWS.to_dict("records"), start=1):
        text = entry(page, number)
        assert text.index(row["first_place"]) < text.index(row["problem"]) < text.index(row["here"])
        assert re.findall(r"\(chapters/(.*?)\)", text) == row["chapters"].split()


def test_only_sections_are_quoted_verbatim():
    page = errata_page({})
    for row in ROWS.to_dict("records"):
        for place in ("first", "second"):
            quoted = f"{row[place + '_place']}: “{row[place + '_quote']}”" in page
            assert quoted == row[place + "_place"].startswith(("Section", "Abstract"))


@pytest.mark.parametrize("number", range(1, len(ROWS) + 1))
def test_what_was_measured_stands_where_the_row_asks_for_it(number):
    row = ROWS.iloc[number - 1]
    names = row["chapters"].split()
    nothing = entry(errata_page(dict.fromkeys(names)), number)
    assert nothing == entry(errata_page({}), number)
    added = entry(errata_page({name: record() for name in names}), number).removeprefix(nothing)
    expected = {
        "thresholds": ["3", "0.40", "2", "0.22", "2.75", "0.27"],
        "times": ["3.2"],
        "": [],
    }[row["measured"]]
    found = re.findall(r"(?<![-\w])\d+\.?\d*(?![-\w])", added)
    assert [n for n in found if n not in ("10", "102")] == expected * len(names)
    if row["measured"] == "thresholds":
        assert added.count("peak") == added.count("inflection") == len(names)
        assert added.index("accuracy 3") < added.index("FE 2") < added.index("RFE 2.75")


def test_a_method_without_a_threshold_is_said():
    result = record().result["thresholds"] | {"renormalized": None}
    page = errata_page({"mlp-cifar10": record(thresholds=result)})
    assert "RFE none found" in page
