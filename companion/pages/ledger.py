"""The claims ledger as a page of the book, and its rows on the page of a chapter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import pandas as pd

from companion.pages.claim_links import claims_address
from companion.pages.escape import in_html, in_markdown
from companion.pages.tables import cells, counted, html, markdown, wide
from companion.paper.claims import KINDS
from companion.paper.ledger import CELLS, counts, headline, ledger, of_chapter
from companion.paper.left_out import LEFT_OUT
from companion.paper.measures import MEASURES, READS
from companion.paper.placebo import DRAWS, EMPTY
from companion.paper.rules import OUTCOMES, RULES, Outcome, Stated
from companion.paper.setup import SETUPS, UNKNOWN, Setup, differences, kinds
from companion.paper.subjects import SUBJECTS, claims_about
from companion.runs.chapters import chapter_title
from companion.runs.records import Record

__all__ = ["ChapterClaims", "chapter_claims", "pieces"]

#: A sign beside each outcome, for those who do not see its colour.
SIGNS: Final[Mapping[Outcome, str]] = {
    Outcome.HOLDS: "✓",
    Outcome.FAILS: "✗",
    Outcome.NOT_RUN: "–",
}
#: What stands where there is nothing to say.
NOTHING: Final = "–"
#: Columns of the table, with how each is headed.
HEAD: Final[Mapping[str, str]] = {
    "claim": "Claim",
    "outcome": "Outcome",
    "setup": "Set-up",
    "placebo": "A placebo holds too",
    "paper": "Paper",
    "ours": "Ours",
    "rule": "Rule",
}


class ChapterClaims(pd.DataFrame):
    """Rows of the ledger about one chapter, shown with links into the ledger.

    A DataFrame with the claims' names as index; what is made from it is an ordinary one.
    """

    def _repr_html_(self) -> str:
        rows = [
            [_of_chapter(str(name), column, cell) for column, cell in zip(HEAD, row, strict=True)]
            for name, *row in self[list(HEAD)].itertuples(name=None)
        ]
        return html(list(HEAD.values()), rows, classes="claims claims-of-chapter")


def _of_chapter(name: str, column: str, cell: str) -> str:
    """A cell on the page of a chapter, from where the ledger is a folder up."""
    if column == "claim":
        return f"{in_html(cell)} {_anchor(name, '../claims.html')}"
    return _marked(cell) if column in ("outcome", "setup") else in_html(cell)


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
        Index: names of the claims. Columns ``claim``, ``outcome``, ``setup``, ``placebo``,
        ``paper``, ``ours``, ``rule``, all text.
    """
    table = of_chapter(name, records).set_index("id")
    placebo = [_placebo(row) for row in table.to_dict("records")]
    table["placebo"] = pd.Series(placebo, index=table.index, dtype=object)
    if any(record.result["synthetic"] for record in records):
        table["ours"] = "synthetic data, which confirm nothing"
    return ChapterClaims(table[list(HEAD)])


def pieces(
    records: Mapping[str, Sequence[Record]],
    *,
    draws: int = DRAWS,
    table: pd.DataFrame | None = None,
) -> dict[str, str]:
    """The parts of the ledger's page that are made from records and rules.

    Parameters
    ----------
    records, draws
        As for :func:`companion.paper.ledger.ledger`.
    table : DataFrame, optional
        What that function returned, where it is known.

    Returns
    -------
    dict of str to str
        Markdown by name: ``claims_headline``, ``claims_counts``, ``claims_table``,
        ``claims_setup`` and ``claims_rules``.
    """
    table = ledger(records, draws=draws) if table is None else table
    real = {
        name: [record for record in found if not record.result["synthetic"]]
        for name, found in records.items()
    }
    synthetic = any(len(real[name]) < len(found) for name, found in records.items())
    return {
        "claims_headline": _headline(table, synthetic=synthetic),
        "claims_counts": _counts(table),
        "claims_table": _table(table),
        "claims_setup": _setups(real),
        "claims_rules": _rules(draws),
    }


def _headline(table: pd.DataFrame, *, synthetic: bool) -> str:
    """What the ledger comes to, in two sentences."""
    if synthetic:
        return (
            "The records shown in this book are of **synthetic data**. They confirm nothing and "
            "refute nothing, so every claim counts as not run.\n"
        )
    found = headline(table)
    same, other = found[Setup.SAME], found[Setup.OTHER]
    waiting = int((table["outcome"] == Outcome.NOT_RUN).sum())
    return (
        f"In the paper's set-up, as far as it matters to each claim, **{same.holds} of "
        f"{counted(same.holds + same.fails, 'claim')} hold and {same.fails} fail** (in another "
        f"set-up {other.holds} hold and {other.fails} fail; {waiting} were not run). "
        f"Of the {same.holds} that hold, {same.empty} would hold as well if τ* were just the first "
        "threshold of the grid, or more often than not if it were drawn at random (in another "
        f"set-up {other.empty} of {other.holds}): they say nothing about the free energy.\n"
    )


def _counts(table: pd.DataFrame) -> str:
    """How many claims of each kind have which outcome, each number a link to its rows."""
    found = counts(table)
    titles = {
        name: f"{SIGNS[what]} {what}" + (f", {setup} set-up" if setup else "")
        for name, (what, setup) in CELLS.items()
    }
    rows = [
        [
            KINDS.get(str(kind), f"**{kind}**"),
            *(_linked(int(number), str(kind), str(name)) for name, number in line.items()),
        ]
        for kind, line in found.iterrows()
    ]
    return markdown(["kind", *titles.values(), "all"], rows) + "\n"


def _linked(number: int, kind: str, cell: str) -> str:
    """A number of the summary; a link to the rows where there are any."""
    if not number:
        return "0"
    what, setup = CELLS.get(cell, ("", None))
    chosen = {"kind": "" if kind == "all" else kind, "outcome": str(what), "setup": setup or ""}
    if not any(chosen.values()):
        return str(number)
    return f'<a href="{in_html(claims_address(**chosen))}">{number}</a>'


def _table(table: pd.DataFrame) -> str:
    """The whole table, as HTML without blank lines, which would end it in Markdown."""
    head = "".join(f'<th scope="col">{name}</th>' for name in HEAD.values())
    subjects: dict[str, list[str]] = {}
    for subject in SUBJECTS:
        for name in claims_about(subject):
            subjects.setdefault(name, []).append(subject)
    rows = "\n".join(
        _row(row, subjects.get(str(row["id"]), ())) for row in table.to_dict("records")
    )
    return (
        '<div id="claims-table">\n<table class="claims" aria-label="Claims">\n'
        f"<thead><tr>{head}</tr></thead>\n"
        f"<tbody>\n{rows}\n</tbody>\n</table>\n</div>\n"
        '<script src="_static/claims.js" defer></script>\n'
    )


def _row(row: Mapping[Any, Any], subjects: Sequence[str]) -> str:
    name, kind = row["id"], row["kind"]
    chapters, stated = row["chapters"], row["stated"]
    claim = (
        f'<div class="claims-kind"><span>{KINDS[kind]}</span> · {_chapters(chapters)}</div>'
        f"{in_html(row['claim'])} {_anchor(name)}{_quotes(stated)}"
    )
    shown = (
        claim,
        _marked(row["outcome"]),
        _setup(row),
        in_html(_placebo(row)),
        _paper(stated, row["agrees with"]),
        in_html(row["ours"]),
        in_html(row["rule"]),
    )
    placebo = "" if row["placebo"] is None else "yes" if row["placebo"] else "no"
    return (
        f'<tr id="claim-{name}" data-kind="{kind}" data-outcome="{row["outcome"]}" '
        f'data-setup="{row["setup"]}" data-placebo="{placebo}" '
        f'data-chapters="{" ".join(chapters)}" data-about="{";".join(map(in_html, subjects))}">'
        f"{cells(list(HEAD.values()), shown)}</tr>"
    )


def _anchor(name: str, page: str = "") -> str:
    """A link to a row of the ledger."""
    return (
        f'<a class="claims-anchor" href="{page}#claim-{in_html(name)}" '
        'aria-label="this claim in the ledger">#</a>'
    )


def _marked(word: str) -> str:
    """An outcome with its sign, or a set-up, coloured by the style sheet."""
    if not word:
        return NOTHING
    sign = f"{SIGNS[Outcome(word)]} " if word in SIGNS else ""
    return f'<span class="claims-{word.replace(" ", "-")}">{sign}{word}</span>'


def _placebo(row: Mapping[Any, Any]) -> str:
    """Whether thresholds that know nothing satisfy a claim, such as ``no (random 5 %)``."""
    if row["placebo"] is None:
        return NOTHING
    how = f"random {100 * row['random']:.0f} %"
    if row["first point"]:
        how = f"first point; {how}"
    return f"{'yes' if row['placebo'] else 'no'} ({how})"


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


def _setup(row: Mapping[Any, Any]) -> str:
    """The set-up, and how it differs where that matters, and where it does not."""
    text = _marked(row["setup"])
    for column, summary in (("differs", "what differs"), ("differs elsewhere", "does not matter")):
        if row[column]:
            text += _details(summary, "<br>".join(map(in_html, row[column].split("; "))))
    return text


def _details(summary: str, content: str) -> str:
    return f"<details><summary>{summary}</summary>{content}</details>"


def _setups(records: Mapping[str, Sequence[Record]]) -> str:
    """What the records shown differ in, by kind, and to what each kind matters."""
    found: dict[str, dict[str, None]] = {}
    for runs in records.values():
        for difference in differences(record.result for record in runs):
            found.setdefault(difference.kind, {})[difference.text] = None
    header = ["kind of difference", *READS, "why", "in these records"]
    rows = [
        [
            kind.kind,
            *(("unless " + kind.unless if kind.unless else "yes") if what in kind.matters else "no"
              for what in READS),
            kind.why,
            in_markdown("; ".join(found.get(kind.kind, ()))) or NOTHING,
        ]
        for kind in kinds()
    ]  # fmt: skip
    if UNKNOWN in found:
        shown = in_markdown("; ".join(found[UNKNOWN]))
        rows.append([UNKNOWN, *["yes"] * len(READS), "to be on the safe side", shown])
    reads = [
        f"- **{what}**, {meaning}: {', '.join(_measures(what))}." for what, meaning in READS.items()
    ]
    return "\n".join(
        [wide(header, rows), "", "What is read off a record depends on", "", *reads, ""]
    )


def _measures(what: str) -> Iterable[str]:
    """Names of the measures that depend on something."""
    return (f"*{name}*" for name, made in MEASURES.items() if what in made.reads)


def _rules(draws: int) -> str:
    """What rules, outcomes and placebos mean, and what is left out."""
    lines = ["### Outcomes\n"]
    lines += [f"- {SIGNS[name]} **{name}**: {meaning}." for name, meaning in OUTCOMES.items()]
    lines += ["\n### Set-ups\n"]
    lines += [f"- **{name}**: {meaning}." for name, meaning in SETUPS.items()]
    lines += [
        "\n### Placebos\n",
        "A claim that looks at the threshold τ* of the free energy is asked again with other "
        "thresholds in its place: with the first threshold of the grid, and with "
        f"{draws} that are drawn at random between the first and the last, for each record and "
        "independently for FE and RFE. *yes* means that the first one satisfies the claim, or "
        f"{EMPTY:.0%} of the random ones or more. A claim that does not look at τ*, or asks for "
        "the kind of a feature, has no placebo.",
    ]
    lines += ["\n### Rules\n"]
    lines += [f"- **{name}**: {rule.meaning}" for name, rule in RULES.items()]
    lines += ["\n### What makes no claim\n"]
    lines += [f"- {reason}" for reason in LEFT_OUT.values()]
    return "\n".join(lines) + "\n"
