"""The page on the book's own time: its rows are the record's, and the parts are the whole."""

from __future__ import annotations

import pytest

from companion.pages.book_times import PARTS, book_times_text
from companion.pages.rounds import BUSY


def facts(**changes):
    seconds = dict(zip(PARTS, (2.0, 14.0, 7.0, 5.0, 3.0), strict=True))
    parts = {
        name: [{"processor": s + d, "wall": 2 * (s + d)} for d in (-0.5, 0.0, 9.0)]
        for name, s in seconds.items()
    }
    return {
        "load": 0.0, "parts": parts, "site": None, "processor": "Fast | CPU", "cores": 2,
        "date": "2026-11-26", "provenance": {"device": "CPU", "git_commit": "0123456789abcdef"},
        **changes,
    }  # fmt: skip


def cells(text):
    return [[c.strip() for c in line.strip("|").split("|")] for line in text.splitlines()]


def numbers(text):
    rows = [row for row in cells(text) if len(row) == 3 and row[1][:1].isdigit()]
    return [[float(cell) for cell in row[1:]] for row in rows]


def test_nothing_measured_yet():
    assert "python -m benchmarks.book" in book_times_text(None)


def test_rows_are_medians():
    text = book_times_text(facts())
    assert ["the page of CNN on CIFAR-10, from its record", "2.0", "4.0"] in cells(text)
    assert "3 rounds" in text
    assert "2 cores" in text
    assert "Fast &#124; CPU" in text
    assert "0123456789" in text


def test_the_parts_of_a_chapter_are_the_whole():
    _, demo, *parts, again = numbers(book_times_text(facts()))
    assert demo == [14.0, 28.0]
    assert [sum(column) for column in zip(*parts, strict=True)] == demo
    # Twice the same but for what is kept: Lightning and what is computed.
    computed, lightning = parts[1][0], 5.0 - 3.0
    assert demo[0] - again[0] == computed + lightning


def test_the_site_is_shown_where_it_was_built():
    assert "whole site" not in book_times_text(facts())
    text = book_times_text(facts(site={"processor": 90.0, "wall": 49.0}))
    assert ["the whole site, in two processes", "90.0", "49.0"] in cells(text)


@pytest.mark.parametrize("load", [0.0, BUSY + 0.1])
def test_a_busy_machine_is_said(load):
    assert ("busy" in book_times_text(facts(load=load))) == (load > BUSY)


def test_without_a_name_the_device_is_shown():
    assert " CPU, 2 cores" in book_times_text(facts(processor=None))
