"""The table of what few thresholds find."""

from __future__ import annotations

import pytest

from companion.pages import dozen
from companion.paper.dozen import Agreement
from thermo_utils.guided import PASSES


@pytest.fixture
def told(monkeypatch):
    """Agreements instead of records: guided ones as they stand, evenly spaced ones all wrong."""

    def agreement(of, *, even=False):
        return of._replace(tau_star=False, accuracy=False) if even and of else of

    monkeypatch.setattr(dozen, "agreement", agreement)


def test_chapters_agree_where_all_their_runs_do_and_both_means_of_the_same_run(told):
    right, left, other = (
        Agreement(tau, accuracy, passes, 46)
        for tau, accuracy, passes in ((True, True, 12), (True, False, 12), (False, True, 9))
    )
    text = dozen.dozen_text(
        {"a": [right, left], "b": [right, None], "c": [], "d": [None]}, [other, right]
    )
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    assert rows[2:] == [
        ["guided", "chapters", "2 of 2", "1 of 2", "1 of 2"],
        ["guided", "their runs", "3 of 3", "2 of 3", "2 of 3"],
        ["guided", "runs with other settings", "1 of 2", "2 of 2", "1 of 2"],
        ["evenly spaced", "chapters", "0 of 2", "0 of 2", "0 of 2"],
        ["evenly spaced", "their runs", "0 of 3", "0 of 3", "0 of 3"],
        ["evenly spaced", "runs with other settings", "0 of 2", "0 of 2", "0 of 2"],
    ]
    assert "5 runs" in text
    assert f"9 to 12, of {PASSES}" in text
    assert "47 to 47" in text


def test_without_records_nothing_is_said(told):
    assert dozen.dozen_text({"a": [], "b": [None]}) == "Nothing was run.\n"
    assert "other settings" not in dozen.dozen_text({"a": [Agreement(True, True, 12, 46)]})
