"""The first page: what the paper claims, what held and what did not, and the way to each chapter.

What held and what did not is sorted by these rules, from the verdict that the conclusion is made of
and from the ledger of claims:

- *Place.* A free energy predicts where accuracy gives way if its first feature is near in half of
  the chapters or more.
- *Side.* That F errs early speaks for it, that it errs late against it; both sides leave it open.
- *Rivals.* F wins where the sign test establishes that more simple rules are farther off than
  nearer, loses where it is the other way round; it is open where most comparisons are undecided, or
  it wins as often as it loses.
- *Pruning.* As a threshold to prune at, the renormalized F must gain more than the simple rule of
  equal risk. If it needs certain chapters for that, it is open.
- *The fast way.* Whether the renormalized curve stands for the full evaluation is decided by the
  majority of the claims about the two, and whether it saves time by the claim that it does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from companion.pages.escape import in_html
from companion.pages.five import side_of_errors
from companion.pages.gallery import (
    all_dots,
    all_dots_alt,
    small_multiple,
    small_multiple_alt,
)
from companion.pages.panels import NARROW
from companion.pages.predictions import factor
from companion.pages.tables import NOT_RUN, counted
from companion.paper.comparison import NEAR, near, standing
from companion.paper.frontier import advantages, merit
from companion.paper.ledger import headline
from companion.paper.rules import Outcome
from companion.paper.runs import THEORY
from companion.paper.setup import Setup
from companion.paper.verdict import MIN_CHAPTERS, Verdict
from companion.runs.chapters import CHAPTERS
from companion.runs.records import Record

__all__ = ["Finding", "findings", "front", "front_figures", "three_lines"]

#: The free energies in a sentence.
NAMES: Final[Mapping[str, str]] = {"FE": "under full evaluation", "RFE": "renormalized"}
#: The kind of claims about the fast way, and the claim that it is one.
MATCH, FASTER = "match", "speedup-method"
#: The picture, among the files that pages load by their address: a telephone gets another.
DOTS: Final = "static/front_dots"
#: A reference to it.
SEE: Final = "{numref}`fig-front`"
#: The mark of each line, and what is read out for it.
MARKS: Final[Mapping[str, tuple[str, str]]] = {
    "claim": ("❝", "claim"),
    "held": ("✓", "yes"),
    "failed": ("✗", "no"),
}


class Finding(NamedTuple):
    """Something that the paper leads one to expect, and what became of it."""

    #: None where the records leave it open.
    held: bool | None
    #: Markdown: a sentence, without its full stop; what is open begins with a small letter.
    text: str


def findings(found: Verdict, claims: pd.DataFrame) -> list[Finding]:
    """What came of the paper's expectations.

    Parameters
    ----------
    found : Verdict
        As returned by :func:`companion.paper.verdict.verdict`.
    claims : DataFrame
        As returned by :func:`companion.paper.ledger.ledger`.

    Returns
    -------
    list of Finding
        Without those about predictions where there are too few chapters to judge.
    """
    judged = (
        [*_place(found.errors), _side(found.errors), _rivals(found.errors), _pruning(found)]
        if found.enough
        else []
    )
    return [*judged, *_fast_way(claims)]


def _place(errors: pd.DataFrame) -> list[Finding]:
    chapters = errors["chapter"].nunique()
    close = {method: len(near(errors, method)) for method in THEORY}
    median = {m: errors.loc[errors["predictor"] == m, "octaves"].median() for m in THEORY}
    off = {m: factor(v) if np.isfinite(v) else "no prediction" for m, v in median.items()}
    predicts = {method: 2 * number >= chapters for method, number in close.items()}
    near_by = f"its first feature is within a factor of {2**NEAR:.1f} in"
    verbs = {True: "predicts", False: "does not predict"}
    of = f"of {counted(chapters, 'chapter')}"
    if predicts["FE"] == predicts["RFE"]:
        text = (
            f"The free energy {verbs[predicts['FE']]} where accuracy gives way: {near_by} "
            f"{close['FE']} {of} {NAMES['FE']} and {close['RFE']} {NAMES['RFE']} "
            f"(median factor off: {off['FE']} and {off['RFE']}; {SEE})"
        )
        return [Finding(predicts["FE"], text)]
    return [
        Finding(
            predicts[m],
            f"F {NAMES[m]} {verbs[predicts[m]]} where accuracy gives way: {near_by} {close[m]} "
            f"{of} (median factor off: {off[m]}; {SEE})",
        )
        for m in THEORY
    ]


def _side(errors: pd.DataFrame) -> Finding:
    side, consequence = side_of_errors(errors)
    if not consequence:
        return Finding(None, "on which side F errs, for it errs to both")
    return Finding("early" in side, f"{side}{consequence}")


def _rivals(errors: pd.DataFrame) -> Finding:
    sorted_ = [standing(errors, method) for method in THEORY]
    nearer, farther, undecided = (sum(len(each[k]) for each in sorted_) for k in range(3))
    tests = nearer + farther + undecided
    rules = "simple rules on the same activations"
    if 2 * undecided > tests:
        return Finding(
            None, f"how it compares with {rules} ({undecided} of {tests} tests are undecided)"
        )
    if nearer == farther:
        return Finding(None, f"how it compares with {rules} (it wins as often as it loses)")
    side, number = ("nearer", nearer) if nearer > farther else ("farther off", farther)
    text = f"{rules} are {side} than F in {number} of {tests} tests"
    return Finding(farther > nearer, text[0].upper() + text[1:])


def _pruning(found: Verdict) -> Finding:
    fast = merit(found.frontier, "RFE")
    gained = f"a median sparsity of {fast.sparsity:.2f} against {fast.rule_sparsity:.2f}"
    subject = "As a threshold to prune at, the renormalized F is"
    if fast.sparsity <= fast.rule_sparsity:
        return Finding(False, f"{subject} no better than a simple rule of equal risk: {gained}")
    ratios = np.array(list(advantages(found.outcomes, "RFE").values()))
    if (ratios <= 1).any():
        return Finding(
            None,
            "whether the renormalized F is a better threshold to prune at than a simple rule of "
            f"equal risk: it is ({gained}), but not without certain chapters",
        )
    return Finding(True, f"{subject} better than a simple rule of equal risk: {gained}")


def _fast_way(claims: pd.DataFrame) -> list[Finding]:
    own = claims[claims["kind"] == MATCH]["outcome"]
    holds, fails = int((own == Outcome.HOLDS).sum()), int((own == Outcome.FAILS).sum())
    result = []
    if answered := holds + fails:
        number = max(holds, fails)
        what = "holds" if holds >= fails else "fails"
        link = _claims(f"{number} of {counted(answered, 'claim')}", kind=MATCH, outcome=what)
        held = None if holds == fails else holds > fails
        verb = "does not keep" if held is False else "keeps"
        text = f"{'whether t' if held is None else 'T'}he renormalized curve {verb} to that of "
        verb = "hold" if holds >= fails else "fail"
        result.append(Finding(held, f"{text}the pruned network ({link} about the two {verb})"))
    faster = claims[claims["id"] == FASTER]
    for row in faster[faster["outcome"] != Outcome.NOT_RUN].to_dict("records"):
        held = row["outcome"] == Outcome.HOLDS
        verb = "takes less time" if held else "does not always take less time"
        link = f'<a href="claims.html#claim-{FASTER}">{in_html(row["ours"])}</a>'
        result.append(Finding(held, f"It {verb} ({link})"))
    return result


def three_lines(found: Verdict, claims: pd.DataFrame) -> str:
    """What the paper claims, what held, what did not.

    Parameters
    ----------
    found, claims
        As for :func:`findings`.

    Returns
    -------
    str
        Markdown, a list of three items, each with a mark that has words for screen readers. What
        is open ends the third.
    """
    known = findings(found, claims)
    held, failed, still = ([f.text for f in known if f.held is k] for k in (True, False, None))
    same = headline(claims)[Setup.SAME]
    if asked := same.holds + same.fails:
        link = _claims(f"{same.holds} of {asked}", outcome="holds", setup="same")
        knowing = f", {same.empty} of them for a {{term}}`placebo` too" if same.empty else ""
        held.append(f"In the paper's set-up, {link} claims hold{knowing}")
        link = _claims(f"{same.fails} of {asked}", outcome="fails", setup="same")
        failed.append(f"In the paper's set-up, {link} claims fail")
    if not found.enough:
        still.append(f"whether it predicts the drop, to be judged from {MIN_CHAPTERS} chapters on")
    run = len({c for names in claims.loc[claims["setup"] != "", "chapters"] for c in names})
    lines = {
        "claim": "**The paper claims** that the first feature of the free energy marks the "
        "threshold at which accuracy gives way, and that one pass of the unpruned network shows "
        f"it. With all that follows, it makes {_claims(counted(len(claims), 'claim'))}. We have "
        f"run {run} of {len(CHAPTERS)} chapters.",
        "held": f"**What held.** {_sentences(held)}",
        "failed": f"**What did not.** {_sentences(failed)}",
    }
    if still:
        lines["failed"] += f" *Open*: {'; '.join(still)}."
    if found.synthetic:
        lines["claim"] += " **Some records are of synthetic data, which confirm nothing.**"
    for name in ("held", "failed"):
        lines[name] += " [All conclusions](conclusion)."
    return "\n".join(f"- {_mark(name)} {' '.join(text.split())}" for name, text in lines.items())


def _sentences(texts: Sequence[str]) -> str:
    return " ".join(f"{text}." for text in texts) if texts else "Nothing so far."


def _mark(name: str) -> str:
    sign, words = MARKS[name]
    return f'<span class="front-mark front-{name}" role="img" aria-label="{words}">{sign}</span>'


def _claims(text: str, **chosen: str) -> str:
    """A link to the ledger, filtered."""
    query = "&amp;".join(f"{key}={value}" for key, value in chosen.items())
    address = f"claims.html?{query}#claims-table" if query else "claims.html"
    return f'<a href="{address}">{text}</a>'


def front(found: Verdict, claims: pd.DataFrame, chapters: Mapping[str, Sequence[Record]]) -> str:
    """The part of the first page that is made from records.

    Parameters
    ----------
    found, claims
        As for :func:`findings`.
    chapters : mapping of str to sequence of Record
        Records by name of the paper's chapters, one per seed.

    Returns
    -------
    str
        Markdown: three lines beside one picture, and the gallery. The figures that it shows are
        those of :func:`front_figures`.
    """
    picture = _picture(found) if found.enough else ""
    return (
        f":::::{{div}} front-top\n::::{{div}} front-lines\n{three_lines(found, claims)}\n::::\n"
        f"{picture}:::::\n\n## All chapters at a glance\n\n{_gallery(chapters)}\n"
    )


def _picture(found: Verdict) -> str:
    return (
        f"::::{{figure}} generated/{DOTS}.svg\n:name: fig-front\n:figclass: front-picture\n"
        f":alt: {all_dots_alt(found.predicted)}\n\n"
        "Where the first feature of F lies, over where the accuracy gives way; a mark for each "
        f"run. In the band it is {{term}}`near`, off by less than a factor of {2**NEAR:.1f}. "
        "[All numbers](conclusion).\n::::\n"
    )


def _gallery(chapters: Mapping[str, Sequence[Record]]) -> str:
    items = []
    for chapter in CHAPTERS:
        if records := chapters.get(chapter.name):
            alt = small_multiple_alt(chapter, records)
            shown = f"![{alt}](generated/front_{chapter.name}.svg)"
        else:
            shown = f'<span class="front-blank">{NOT_RUN}</span>'
        items.append(f"- [{shown} {chapter.title}](chapters/{chapter.name})")
    return (
        "Over the sparsity β from 0 to 1, above: the accuracy, from zero on, and a line where it "
        "gives way. Below: the free energy, with pruning in the network (blue) and from the "
        "unpruned one (pink, dashed), and a line at its first feature. Curves are of the first "
        "seed, lines of each; bands are what the paper states.\n\n"
        ":::{div} front-gallery\n" + "\n".join(items) + "\n:::"
    )


def front_figures(found: Verdict, chapters: Mapping[str, Sequence[Record]]) -> dict[str, Figure]:
    """The figures that :func:`front` shows.

    Parameters
    ----------
    found, chapters
        As for :func:`front`.

    Returns
    -------
    dict of str to Figure
        By the names under which the book keeps them.
    """
    figures = {
        f"front_{chapter.name}": small_multiple(chapter, records)
        for chapter in CHAPTERS
        if (records := chapters.get(chapter.name))
    }
    if found.enough:
        for name, narrow in ((DOTS, False), (f"{DOTS}{NARROW}", True)):
            figures[name] = all_dots(found.predicted, narrow=narrow, synthetic=found.synthetic)
    return figures
