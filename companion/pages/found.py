"""What a chapter's runs found, in a few sentences: the paper's numbers against ours.

Every sentence is made from this chapter's records and names it, so that none stands on the page of
another chapter.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from companion.pages.claim_links import claims_address
from companion.pages.escape import in_html, in_markdown
from companion.pages.found_ours import Names, accuracy, cost, features, order, short_tau
from companion.pages.seen import Seen, read_runs
from companion.pages.shown import fraction, unbroken
from companion.pages.tables import counted
from companion.pages.versions import knows, paper_threshold, versions
from companion.pages.wording import holding, listed
from companion.paper import published
from companion.paper.ledger import of_chapter
from companion.paper.rules import Outcome
from companion.paper.setup import UNKNOWN, Difference, Setup, differences
from companion.runs.chapters import Chapter
from companion.runs.methods import METHODS
from companion.runs.records import Record

__all__ = ["found"]

#: For whom a claim holds is not asked here, so one draw of the placebo is enough.
DRAWS: Final = 1
#: Rounding of thresholds, as a share of them.
TINY: Final = 1e-6
#: What a set-up is, where the paper's is not named beside it.
OTHER: Final = "in another set-up than the paper's"
#: Differences that take more characters than this are told by their kinds.
LONGEST: Final = 160


def found(chapter: Chapter, records: Sequence[Record]) -> str:
    """What was found in a chapter.

    Parameters
    ----------
    chapter : Chapter
        Of the paper or another.
    records : sequence of Record
        Its runs of the same settings, by seed, at least one.

    Returns
    -------
    str
        Markdown: a heading and a paragraph or two.
    """
    names = Names.of(chapter, synthetic=any(r.result["synthetic"] for r in records))
    seen = read_runs(chapter.name, records)
    known = knows(chapter.model, chapter.dataset)
    parts = (
        (order(names, seen), cost(names, seen)),
        (
            _paper(names, chapter, known),
            accuracy(names, seen),
            features(names, seen),
            _outside(names, chapter, seen) if known and not names.synthetic else "",
        ),
        (
            _claims(names, chapter, records) if known else "",
            _differs(names, records) if not names.synthetic else "",
        ),
    )
    paragraphs = [" ".join(filter(None, part)) for part in parts]
    if names.synthetic:
        paragraphs.insert(0, _synthetic(names))
    return unbroken("\n\n".join(["## What was found", *filter(None, paragraphs)])) + "\n"


def _synthetic(names: Names) -> str:
    return (
        f"**Synthetic data, not {names.official}, were given to this tiny {names.network}: it "
        "shows how the page is made and reproduces nothing.**"
    )


def _paper(names: Names, chapter: Chapter, known: bool) -> str:
    """What the paper says."""
    if names.synthetic:
        return ""
    if not known:
        return f"{names.title} is not in the paper, so its numbers stand alone."
    model, dataset = chapter.model, chapter.dataset
    reached = versions(model, dataset, "accuracy")
    drop, full, fast = (paper_threshold(model, dataset, method) for method in METHODS)
    said = [
        f"reaches {reached.replace('≈', 'about')}" if reached else "",
        f"loses its accuracy from {drop} on" if drop else "",
    ]
    energy = f"its free energy F has {full}" if full else ""
    if fast:
        same = full.replace("≈", "=").endswith(fast.replace("≈", "="))
        energy += ", and renormalized the same" if same else f", renormalized at {fast}"
    sentence = f"{names.title} {listed(list(filter(None, said)))}" if any(said) else ""
    told = "; ".join(filter(None, [sentence, energy]))
    return f"In the paper, {told}." if told else f"The paper gives no number for {names.title}."


def _outside(names: Names, chapter: Chapter, seen: Sequence[Seen]) -> str:
    """Thresholds of the paper that our grid does not reach."""
    first, last, beta = seen[0].grid
    words = []
    for method, what in (("accuracy", "accuracy threshold"), ("full", "τ\\*")):
        rows = published.lookup(chapter.model, chapter.dataset, "tau_star", method)
        ends = rows[["low", "high"]].dropna()
        if ends.empty:
            continue
        low, high = float(ends["low"].min()), float(ends["high"].max())
        if low > last * (1 + TINY):
            end = f"{short_tau(last)} (β = {fraction(beta)})"
            words.append(f"{what} lies beyond our last threshold, τ = {end}")
        elif high < first * (1 - TINY):
            words.append(f"{what} lies before our first threshold, τ = {short_tau(first)}")
    return f"The paper's {listed(words)}, for {names.title}." if words else ""


def _claims(names: Names, chapter: Chapter, records: Sequence[Record]) -> str:
    """How many claims about this chapter alone hold and fail, each count a link to the ledger."""
    table = of_chapter(chapter.name, records, draws=DRAWS)
    if table.empty:
        return ""
    title = f"{names.network} on {names.official}"
    about = f"{counted(len(table), 'claim')} about {title} alone"
    if names.synthetic:
        return f"None of the {about} is asked of synthetic data: all count as not run."
    parts: list[str] = []
    for setup, words in ((Setup.SAME, "in the paper's set-up"), (Setup.OTHER, "in another")):
        here = table[table["setup"] == setup]
        holds, fails = (int((here["outcome"] == o).sum()) for o in (Outcome.HOLDS, Outcome.FAILS))
        if holds + fails:
            link = _link(chapter.name, holding(holds, fails), setup=str(setup))
            parts.append(f"{link} {words if parts or setup == Setup.SAME else OTHER}")
    waiting = int((table["outcome"] == Outcome.NOT_RUN).sum())
    if waiting:
        verb = "was" if waiting == 1 else "were"
        text = _link(chapter.name, str(waiting), outcome=str(Outcome.NOT_RUN))
        parts.append(f"{text} {verb} not run")
    return f"Of the {about}, {listed(parts)}; the ledger has them among those of several chapters."


def _link(name: str, text: str, **chosen: str) -> str:
    """A link to rows of the ledger, from a folder below it."""
    address = in_html(f"../{claims_address(chapter=name, **chosen)}")
    return f'<a href="{address}">{text}</a>'


def _differs(names: Names, records: Sequence[Record]) -> str:
    """How the runs differ from the paper's set-up, as far as it matters to a claim."""
    notes = differences(record.result for record in records)
    matters = _words(note for note in notes if note.matters)
    nothing = _words(note for note in notes if not note.matters)
    if not matters and not nothing:
        return f"Nothing is known to differ from the paper's set-up in {names.title}."
    if not matters:
        return f"What differs from the paper in {names.title} matters to no claim: {nothing}."
    text = f"What differs from the paper in {names.title}: {matters}"
    return f"{text}; and, without weight for any claim, {nothing}." if nothing else f"{text}."


def _words(notes: Iterable[Difference]) -> str:
    """Differences in full or, where that is too long for a sentence, their kinds."""
    notes = list(notes)
    full = "; ".join(in_markdown(note.text) for note in notes)
    if len(full) <= LONGEST:
        return full
    kinds = dict.fromkeys(
        in_markdown(note.text if note.kind == UNKNOWN else note.kind) for note in notes
    )
    return f"{listed(list(kinds))}, as the card says in full"
