"""The conclusion of the book, computed from the records: does the free energy predict the drop?

Every sentence follows from the tables of errors, so it stays true when records are added. What wins
and what loses is decided by rules stated here, not by whoever writes the page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from companion.data.specs import DATASETS
from companion.pages.five import five_sentences, side_of_errors
from companion.pages.frontier import frontier_figure, frontier_table
from companion.pages.predictions import NAMES, by_chapter, dots, factor, points, summary
from companion.pages.tables import counted
from companion.pages.targets import (
    accuracy_table,
    calibration_text,
    targets_figure,
    targets_table,
    unjudged,
)
from companion.paper.comparison import (
    LEVEL,
    NEAR,
    RIVALS,
    UNSAFE,
    Comparison,
    ahead,
    near,
    standing,
)
from companion.paper.predictors import grid_ends
from companion.paper.runs import THEORY, Run
from companion.paper.targets import DEFAULT
from companion.paper.verdict import MIN_CHAPTERS, Verdict
from companion.runs.chapters import chapter, chapter_title

__all__ = [
    "against_rules",
    "by_kind",
    "conclusion",
    "conclusion_figures",
    "costs",
    "ended",
    "how_near",
    "not_judged",
]

#: The free energies as subjects of a sentence, and as its first words.
SUBJECTS: Final = {"FE": "F under full evaluation", "RFE": "the renormalized F"}
OPENINGS: Final = {"FE": "Under full evaluation", "RFE": "Renormalized"}
#: What the figures show, for those who do not see them, and what to look for in them.
FIGURES: Final[Mapping[str, tuple[str, str]]] = {
    "ratio": (
        "Predicted thresholds over those of the accuracy on an axis of powers of two, a row per "
        "chapter, a mark per rule and seed; the numbers are in the table of errors by chapter.",
        "How far off each rule is. Left of the line: early, right of it: late. Several marks of "
        "one kind in a row are seeds.",
    ),
    "drop": (
        "Accuracy lost at the predicted thresholds in points, a row per chapter, a mark per rule "
        "and seed; medians and worst cases are in the summary table.",
        f"What pruning at the predicted threshold costs. Right of the line: more than "
        f"{100 * UNSAFE:g} point.",
    ),
    "frontier": (
        "Two panels, loss in the worst run and in 95 percent of the runs, over the median sparsity "
        "gained. Simple rules are rising curves, free energies single marks, and a dashed black "
        "curve below all of them is the measured accuracy; the numbers are in the table below.",
        "The lower and the farther right, the better. A curve is one simple rule with its "
        "parameter from careful to greedy, chosen in hindsight over these very runs; it ends where "
        "the grid of one run does. Black: whoever measures the accuracy and prunes up to the loss "
        "allowed. Dotted: one point.",
    ),
    "targets": (
        "Upper panel: median factor by which each rule is off, over twelve targets from half a "
        "point of loss to the knee of the accuracy curve; lower panel: share of the chapters "
        "within a factor of 1.4; the numbers are in the table above.",
        "Each line is a rule. In brackets: how many chapters have that target. Dotted: a factor "
        "of 1.4.",
    ),
}


def conclusion(found: Verdict) -> str:
    """What the records say about the theory, as Markdown.

    Parameters
    ----------
    found : Verdict
        As returned by :func:`companion.paper.verdict.verdict`.

    Returns
    -------
    str
        Sentences and tables; with fewer than `MIN_CHAPTERS` chapters to judge, that there are too
        few.
    """
    errors = found.errors
    targets = found.targets[DEFAULT.name]
    left_out = not_judged(found.runs, targets)
    if not found.enough:
        return (
            f"**Too little to conclude from.** {counted(errors['chapter'].nunique(), 'chapter')} "
            f"of this profile can be judged, and {MIN_CHAPTERS} are needed: the rules are fitted "
            f"to chapters other than the one they are judged on.\n\n{left_out}"
        )
    parts = [
        five_sentences(found),
        "## Does the first feature say where accuracy gives way?",
        *(how_near(errors, method) for method in THEORY),
        by_kind(errors),
        *(against_rules(errors, method) for method in THEORY),
        _multiplicity(),
        left_out,
        ended(found.predicted, found.runs),
        _figure("ratio"),
        "## Is it a safe threshold?",
        costs(errors),
        _figure("frontier"),
        _wide(frontier_table(found.frontier)),
        _figure("drop"),
        "## What does giving way mean?",
        calibration_text(found.runs),
        f"Median factor off, and in brackets the number of chapters within a factor of "
        f"{2**NEAR:.1f}, for every target; with *of*, the chapters a rule is judged on, where "
        "grids end before its prediction. In the last row the rules are fitted to other "
        "*networks* only, not just to other chapters.",
        _wide(targets_table(found.by_target)),
        _figure("targets"),
        _left_out_by_target(found.targets),
        "## Where the accuracy gives way",
        f"The last threshold at which no more than {DEFAULT.name} is lost, for each seed, with the "
        "thresholds that two standard errors leave open: both networks see the same test "
        "examples, so only those that one gets right and the other wrong count. *Not known*: the "
        "record does not count them. *Lift* is the accuracy over that of always naming the most "
        "frequent class.",
        _wide(accuracy_table(found.runs, targets)),
        "## Errors by chapter",
        "Each cell says by which factor the predicted threshold misses that of the accuracy: ÷ is "
        "early, × late, ± late on some seeds and early on others, ≈ within a grid step. With "
        "several seeds it is the geometric mean of the factors. *Miss*: no prediction on at least "
        "one seed. *Grid ends*: the rule's prediction lies beyond the thresholds of the record.",
        _wide(by_chapter(errors)),
        "## Summary",
        _wide(summary(found.predicted, errors)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def conclusion_figures(found: Verdict) -> dict[str, Figure]:
    """The figures that :func:`conclusion` includes.

    Parameters
    ----------
    found : Verdict
        As for :func:`conclusion`.

    Returns
    -------
    dict of str to Figure
        By the names under which the book keeps them; empty where there is too little to conclude
        from.
    """
    if not found.enough:
        return {}
    synthetic = found.synthetic
    return {
        "conclusion_ratio": dots(found.predicted, "ratio", synthetic=synthetic),
        "conclusion_drop": dots(found.predicted, "drop", synthetic=synthetic),
        "conclusion_frontier": frontier_figure(found.frontier, synthetic=synthetic),
        "conclusion_targets": targets_figure(found.by_target, synthetic=synthetic),
    }


def _figure(name: str) -> str:
    alt, caption = FIGURES[name]
    return f"```{{image}} generated/conclusion_{name}.svg\n:alt: {alt}\n```\n\n*{caption}*"


def _wide(table: str) -> str:
    return f":::{{div}} wide-table\n{table}\n:::"


def _left_out_by_target(targets: Mapping[str, pd.DataFrame]) -> str:
    lines = [
        f"- *{name}*: {words}."
        for name, table in targets.items()
        if name != DEFAULT.name and (words := unjudged(table))
    ]
    return "\n".join(["Not judged, because", "", *lines]) if lines else ""


def against_rules(errors: pd.DataFrame, method: str) -> str:
    """Whether a free energy beats the simple rules, in a sentence or two.

    Parameters
    ----------
    errors : DataFrame
        As returned by :func:`companion.paper.predictors.per_chapter`.
    method : {"FE", "RFE"}
        Which free energy.

    Returns
    -------
    str
        Markdown. A rule wins or loses where the sign test over the chapters establishes it.
    """
    nearer, farther, undecided = standing(errors, method)
    if nearer and farther:
        outcome = "wins some and loses some"
    elif nearer:
        outcome = "loses"
    elif farther:
        outcome = "wins"
    else:
        outcome = "shows no established advantage"
    sentences = [
        f"**Against simple rules, {SUBJECTS[method]} {outcome}.**",
        f"Nearer than it: {_listed(nearer)}." if nearer else "",
        f"Farther off: {_listed(farther)}." if farther else "",
        f"Undecided: {_listed(undecided)}." if undecided else "",
        f"By the median error, {ahead(errors, method)} of {len(RIVALS)} rules without any free "
        "energy are ahead of it.",
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def _listed(rules: Mapping[str, Comparison]) -> str:
    return "; ".join(
        f"{NAMES[rule]} (nearer in {c.wins} of {c.wins + c.losses + c.ties} chapters, "
        f"p = {c.p:.2g})"
        for rule, c in rules.items()
    )


def _titles(names: Sequence[str]) -> str:
    return ", ".join(map(chapter_title, names))


def how_near(errors: pd.DataFrame, method: str) -> str:
    """In which chapters a free energy is near, and how far off it is otherwise.

    Parameters
    ----------
    errors : DataFrame
        As returned by :func:`companion.paper.predictors.per_chapter`.
    method : {"FE", "RFE"}
        Which free energy.

    Returns
    -------
    str
        Markdown.
    """
    own = errors[errors["predictor"] == method]
    close = near(errors, method)
    missed = own[own["misses"] > 0]["chapter"].tolist()
    worst = own.iloc[int(own["octaves"].argmax())]
    text = (
        f"**{OPENINGS[method]}**, the first feature of F lies within a factor of {2**NEAR:.1f} of "
        f"the threshold at which accuracy gives way in {len(close)} of "
        f"{counted(len(own), 'chapter')}"
        f"{f' ({_titles(close)})' if close else ''}. "
    )
    if missed:
        text += (
            f"F has no feature on at least one seed of {_titles(missed)}, which counts as a miss. "
        )
    else:
        side = "early" if worst["signed"] < 0 else "late"
        text += (
            f"It is farthest off on {_titles([worst['chapter']])}, by a factor of "
            f"{factor(worst['octaves'])} ({side}). "
        )
    median = own["octaves"].median()
    if np.isfinite(median):
        text += f"The median chapter is off by a factor of {2**median:.1f}, "
        text += f"or {own['steps'].median():.0f} steps of the grid, "
        text += f"or {own['sparsity'].median():.2f} in sparsity."
    else:
        text += "In the median chapter there is no prediction."
    return text


def by_kind(errors: pd.DataFrame) -> str:
    """Where the theory works, by kind of data.

    Parameters
    ----------
    errors : DataFrame
        As returned by :func:`companion.paper.predictors.per_chapter`.

    Returns
    -------
    str
        Markdown.
    """
    own = errors[errors["predictor"] == "FE"]
    kinds = [DATASETS[chapter(*name.split("-")).dataset].kind for name in own["chapter"]]
    texts = []
    for kind in dict.fromkeys(kinds):
        part = own[[k == kind for k in kinds]]["octaves"]
        median = part.median()
        off = f"median factor {2**median:.1f}" if np.isfinite(median) else "median: no prediction"
        close = int((part <= NEAR).sum())
        texts.append(f"on {kind}s {close} of {len(part)} chapters are near ({off})")
    return f"Under full evaluation, {' and '.join(texts)}."


def costs(errors: pd.DataFrame) -> str:
    """Which side the theory errs on, and what that costs.

    Parameters
    ----------
    errors : DataFrame
        As returned by :func:`companion.paper.predictors.per_chapter`.

    Returns
    -------
    str
        Markdown.
    """
    side, consequence = side_of_errors(errors)
    sentences = [f"**{side}**{consequence}."]
    for method in THEORY:
        part = errors[errors["predictor"] == method]
        sentences.append(
            f"{OPENINGS[method]}, {part['early'].sum()} of "
            f"{counted(int(part['seeds'].sum()), 'run')} are early by more than a grid step and "
            f"{part['late'].sum()} late; pruning at the predicted threshold loses "
            f"{points(part['drop'].median())} points of accuracy in the median chapter and "
            f"{points(part['worst'].max())} in the worst run."
        )
    rule = errors[errors["predictor"] == "careful"]
    sentences.append(
        f"The simple rule made to be safe, {NAMES['careful']}, loses "
        f"{points(rule['drop'].median())} and {points(rule['worst'].max())}."
    )
    return " ".join(sentences)


def _multiplicity() -> str:
    tests = len(THEORY) * len(RIVALS)
    return (
        f"p is from a two-sided sign test over chapters, {tests} tests in all and none corrected "
        f"for that: a strict reader asks for p below {LEVEL / tests:g}."
    )


def not_judged(runs: Sequence[Run], targets: pd.DataFrame) -> str:
    """Chapters without the default target, and whether F marks a threshold there all the same.

    Parameters
    ----------
    runs : sequence of Run
        As returned by :func:`companion.paper.runs.runs`.
    targets : DataFrame
        Theirs, see :func:`companion.paper.targets.read_targets`.

    Returns
    -------
    str
        Markdown, empty where every run has the target.
    """
    left = [run for run, reason in zip(runs, targets["reason"], strict=True) if reason]
    if not left:
        return ""
    marked = {m: sum(run.marks[m] is not None for run in left) for m in THEORY}
    return (
        f"Not judged, because {unjudged(targets)}. F has a feature there all the same in "
        f"{marked['FE']} of {counted(len(left), 'run')} under full evaluation and in "
        f"{marked['RFE']} renormalized."
    )


def ended(predicted: pd.DataFrame, runs: Sequence[Run]) -> str:
    """Where a rule is not judged because the grid ends, and what is known of it all the same.

    Parameters
    ----------
    predicted : DataFrame
        As returned by :func:`companion.paper.predictors.predictions`.
    runs : sequence of Run
        What it was made from.

    Returns
    -------
    str
        Markdown, empty where no grid ends before a prediction.
    """
    table = grid_ends(predicted, runs)
    if table.empty:
        return ""
    each = [
        f"{NAMES[rule]} on {chapter_title(name)} (a factor of {factor(late)})"
        for name, rule, late in zip(
            table["chapter"], table["predictor"], table["late"], strict=True
        )
    ]
    return (
        "The thresholds of some records end before a rule's prediction, which is no miss of the "
        "rule: it is not judged there, though it would be late by at least the factor given: "
        f"{'; '.join(each)}."
    )
