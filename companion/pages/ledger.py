"""The claims ledger as a page of the book, and its rows on the page of a chapter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pandas as pd

from companion.pages.escape import in_html
from companion.pages.tables import markdown
from companion.paper.claims import KINDS
from companion.paper.ledger import counts, ledger, of_chapter
from companion.paper.left_out import LEFT_OUT
from companion.paper.rules import RULES, VERDICTS, Stated, Verdict
from companion.runs.chapters import chapter_title
from companion.runs.records import Record

__all__ = ["ChapterClaims", "chapter_claims", "pieces"]

#: A sign beside each verdict, for those who do not see its colour.
SIGNS: Final[Mapping[Verdict, str]] = {
    Verdict.CONFIRMED: "✓",
    Verdict.NOT_CONFIRMED: "✗",
    Verdict.DIFFERS: "≠",
    Verdict.NOT_RUN: "–",
}
HEAD = ("Claim", "Verdict", "Paper", "Ours", "Rule", "Set-up")
#: Of the rows on a chapter's page, where the chapter is known.
CHAPTER_HEAD = ("claim", "verdict", "paper", "ours", "rule")


class ChapterClaims(pd.DataFrame):
    """Rows of the ledger about one chapter, shown with links into the ledger.

    A DataFrame with the claims' names as index; what is made from it is an ordinary one.
    """

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{name}</th>" for name in (*CHAPTER_HEAD, "ledger"))
        rows = [
            "<tr>"
            + "".join(
                f"<td>{_signed(cell) if name == 'verdict' else in_html(cell)}</td>"
                for name, cell in zip(CHAPTER_HEAD, cells, strict=True)
            )
            + f'<td><a href="../claims.html#claim-{name}">row</a></td></tr>'
            for name, *cells in self[list(CHAPTER_HEAD)].itertuples(name=None)
        ]
        return (
            '<link rel="stylesheet" href="../_static/claims.css">'
            '<div class="claims-box claims-of-chapter" tabindex="0" role="region" '
            'aria-label="Claims about this chapter">'
            f'<table class="claims"><thead><tr>{head}</tr></thead><tbody>\n'
            + "\n".join(rows)
            + "\n</tbody></table></div>"
        )


def chapter_claims(name: str, records: Sequence[Record]) -> ChapterClaims:
    """The claims about one chapter.

    Parameters
    ----------
    name : str
        The chapter's.
    records : sequence of Record
        Its records, one per seed.

    Returns
    -------
    ChapterClaims
        Index: names of the claims. Columns ``claim``, ``verdict``, ``paper``, ``ours``, ``rule``.
    """
    table = of_chapter(name, records).set_index("id")
    if any(record.result["synthetic"] for record in records):
        table["ours"] = "synthetic data, which confirm nothing"
    return ChapterClaims(table[list(CHAPTER_HEAD)])


def pieces(records: Mapping[str, Sequence[Record]]) -> dict[str, str]:
    """The parts of the ledger's page that are made from records and rules.

    Parameters
    ----------
    records : mapping of str to sequence of Record
        As for :func:`companion.paper.ledger.ledger`.

    Returns
    -------
    dict of str to str
        Markdown by name: ``claims_counts``, ``claims_table`` and ``claims_rules``.
    """
    table = ledger(records)
    synthetic = any(r.result["synthetic"] for found in records.values() for r in found)
    return {
        "claims_counts": _counts(table, synthetic=synthetic),
        "claims_table": _table(table),
        "claims_rules": _rules(),
    }


def _counts(table: pd.DataFrame, *, synthetic: bool) -> str:
    """How many claims of each kind have which verdict, each number a link to the rows it counts."""
    found = counts(table)
    header = ["kind", *(f"{SIGNS[verdict]} {verdict}" for verdict in VERDICTS), "all"]
    rows = [
        [
            KINDS.get(str(kind), f"**{kind}**"),
            *(_linked(int(number), str(kind), str(name)) for name, number in line.items()),
        ]
        for kind, line in found.iterrows()
    ]
    text = markdown(header, rows) + "\n"
    if synthetic:
        text += (
            "\nThe records shown in this book are of **synthetic data**. They confirm nothing and "
            "refute nothing, so every claim counts as not run.\n"
        )
    return text


def _linked(number: int, kind: str, verdict: str) -> str:
    """A number of the summary; a link to the rows where there are any."""
    if not number:
        return "0"
    chosen = {"kind": kind, "verdict": verdict}
    query = "&amp;".join(
        f"{key}={value.replace(' ', '+')}" for key, value in chosen.items() if value != "all"
    )
    return f'<a href="?{query}#claims-table">{number}</a>' if query else str(number)


def _table(table: pd.DataFrame) -> str:
    """The whole table, as HTML without blank lines, which would end it in Markdown."""
    head = "".join(f'<th scope="col">{name}</th>' for name in HEAD)
    rows = "\n".join(_row(row) for row in table.to_dict("records"))
    return (
        '<link rel="stylesheet" href="_static/claims.css">\n'
        '<div class="claims-box" id="claims-table" tabindex="0" role="region" '
        'aria-label="Table of claims">\n'
        f'<table class="claims">\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n'
        "</table>\n</div>\n"
        '<script src="_static/claims.js" defer></script>\n'
    )


def _row(row: Mapping[Any, Any]) -> str:
    name, kind, result = row["id"], row["kind"], row["verdict"]
    chapters, stated = row["chapters"], row["stated"]
    claim = (
        f'<div class="claims-kind"><span>{KINDS[kind]}</span> · {_chapters(chapters)}</div>'
        f"{in_html(row['claim'])} "
        f'<a class="claims-anchor" href="#claim-{name}" aria-label="link to this claim">#</a>'
        f"{_quotes(stated)}{_differences(row['setup'])}"
    )
    cells = (
        claim,
        _signed(result),
        _paper(stated, row["agrees with"]),
        in_html(row["ours"]),
        in_html(row["rule"]),
        _setup(row["setup"], run=result != Verdict.NOT_RUN),
    )
    return (
        f'<tr id="claim-{name}" data-kind="{kind}" data-verdict="{result}" '
        f'data-chapters="{" ".join(chapters)}">'
        + "".join(f"<td>{cell}</td>" for cell in cells)
        + "</tr>"
    )


def _signed(verdict: Verdict) -> str:
    """A verdict with its sign, coloured by the style sheet."""
    return f'<span class="claims-{verdict.replace(" ", "-")}">{SIGNS[verdict]} {verdict}</span>'


def _chapters(names: Sequence[str]) -> str:
    links = [f'<a href="chapters/{name}.html">{in_html(chapter_title(name))}</a>' for name in names]
    if len(links) == 1:
        return links[0]
    return _details(f"{len(links)} chapters", ", ".join(links))


def _quotes(stated: Sequence[Stated]) -> str:
    """The paper's words with their places, once each."""
    found = dict.fromkeys(
        f"<q>{in_html(v.quote)}</q> <cite>{in_html(v.place)}</cite>" for v in stated
    )
    return _details("quote" if len(found) == 1 else f"{len(found)} quotes", "<br>".join(found))


def _paper(stated: Sequence[Stated], agreeing: Sequence[str]) -> str:
    """What the paper says; where it contradicts itself, every version with its place."""
    places: dict[str, list[str]] = {}
    for version in stated:
        places.setdefault(version.text, []).append(version.place)
    if len(places) == 1:
        return in_html(next(iter(places)))
    texts = []
    for text, found in places.items():
        sign = " ✓" if set(found) & set(agreeing) else ""
        sources = dict.fromkeys(place.split(",")[0] for place in found)
        texts.append(f"{in_html(text)} <small>{in_html(', '.join(sources))}</small>{sign}")
    return "<br>".join(texts)


def _differences(setup: str) -> str:
    """How our run differs, a line each."""
    if not setup:
        return ""
    return _details("how the set-up differs", "<br>".join(map(in_html, setup.split("; "))))


def _setup(differences: str, *, run: bool) -> str:
    if differences:
        return "differs"
    return "as in the paper" if run else ""


def _details(summary: str, content: str) -> str:
    return f"<details><summary>{summary}</summary>{content}</details>"


def _rules() -> str:
    """What rules and verdicts mean, and what is left out."""
    lines = ["### Verdicts\n"]
    lines += [f"- {SIGNS[name]} **{name}**: {meaning}." for name, meaning in VERDICTS.items()]
    lines += ["\n### Rules\n"]
    lines += [f"- **{name}**: {rule.meaning}" for name, rule in RULES.items()]
    lines += ["\n### What makes no claim\n"]
    lines += [f"- {reason}" for reason in LEFT_OUT.values()]
    return "\n".join(lines) + "\n"
