"""The page on kinds of network and data: from what was tried, or that nothing was."""

from __future__ import annotations

from companion.pages.kinds import kinds_text

WORKS = {
    "network": "A | net", "data": "images", "outcome": "works", "metric": "accuracy",
    "layers": ["a.relu()", "b", "c"], "total": 12345, "baseline": 0.75,
    "safe": {"tau": 0.5, "beta": 0.25, "score": 0.7},
}  # fmt: skip
REFUSED = {"network": "none", "data": "words", "outcome": "refused", "message": "take <others>"}


def rows(text: str) -> list[str]:
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [line for line in lines if not line.startswith(("| ---", "| network"))]


def test_every_kind_has_one_row():
    unsafe = WORKS | {"network": "other", "safe": {"tau": 0.0, "beta": 0.0, "score": 0.75}}
    facts = {"versions": {"torch": "2.14.1"}, "kinds": {"a": WORKS, "b": REFUSED, "c": unsafe}}
    text = kinds_text(facts)
    assert text.startswith("3 kinds tried, with torch 2.14.1: 2 work, 1 are refused.")
    works, nothing, refused = rows(text)
    assert works == ("| A &#124; net | images | 3 | a.relu() | 12,345 | accuracy 0.75 | 25.0 % |")
    assert nothing.endswith("| nothing |")
    assert refused == "| none | words | take &#60;others&#62; |"


def test_nothing_tried_yet():
    assert "benchmarks.kinds" in kinds_text(None)
