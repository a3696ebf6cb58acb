"""How near the predictions are and what they cost, in sentences.

What wins and what loses is decided by rules stated here, not by whoever writes the page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pandas as pd

from companion.data.specs import DATASETS
from companion.pages.five import side_of_errors
from companion.pages.predictions import NAMES, factor, points
from companion.pages.tables import counted
from companion.pages.targets import unjudged
from companion.paper.comparison import LEVEL, NEAR, RIVALS, Comparison, ahead, near, standing
from companion.paper.predictors import grid_ends
from companion.paper.runs import THEORY, Run
from companion.runs.chapters import chapter, chapter_title, chapter_titles

__all__ = [
    "against_rules",
    "by_kind",
    "costs",
    "ended",
    "how_near",
    "multiplicity",
    "not_judged",
]

#: The free energies as subjects of a sentence, and as its first words.
SUBJECTS: Final = {"FE": "F under full evaluation", "RFE": "the renormalized F"}
OPENINGS: Final = {"FE": "Under full evaluation", "RFE": "Renormalized"}


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
        f"{f' ({chapter_titles(close)})' if close else ''}. "
    )
    if missed:
        text += f"F has no feature on at least one seed of {chapter_titles(missed)}, "
        text += "which counts as a miss. "
    else:
        side = "early" if worst["signed"] < 0 else "late"
        text += (
            f"It is farthest off on {chapter_titles([worst['chapter']])}, by a factor of "
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


def multiplicity() -> str:
    """How many tests there are, and what a strict reader asks of each.

    Returns
    -------
    str
        Markdown.
    """
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
