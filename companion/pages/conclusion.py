"""The conclusion of the book, computed from the records: does the free energy predict the drop?

Every sentence follows from the table of errors, so it stays true when records are added. What wins
and what loses is decided by rules stated here, not by whoever writes the page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pandas as pd

from companion.data.specs import DATASETS
from companion.pages.predictions import NAMES, by_chapter, factor, points, robustness, summary
from companion.pages.tables import counted
from companion.paper.comparison import (
    LEVEL,
    NEAR,
    RIVALS,
    UNSAFE,
    Comparison,
    ahead,
    near,
    standing,
    unsafe,
)
from companion.paper.predictors import PREDICTORS, THEORY, per_chapter, predictions
from companion.runs.chapters import chapter, chapter_title
from companion.runs.methods import CURVES
from companion.runs.records import Record

__all__ = [
    "MIN_CHAPTERS",
    "against_rules",
    "by_kind",
    "conclusion",
    "costs",
    "how_near",
    "in_short",
    "not_judged",
]

#: With fewer chapters there is nothing to conclude from.
MIN_CHAPTERS: Final = 3
#: The free energies as subjects of a sentence, and as its first words.
SUBJECTS: Final = {"FE": "F under full evaluation", "RFE": "the renormalized F"}
OPENINGS: Final = {"FE": "Under full evaluation", "RFE": "Renormalized"}
#: :func:`companion.pages.predictions.dots` of both values, where the book keeps them.
FIGURES: Final = """\
```{image} generated/conclusion_ratio.svg
:alt: predicted thresholds over those of the accuracy, a row per chapter, a mark per rule
```

*How far off each rule is. Left of the line: early, right of it: late. Several marks of one kind in
a row are seeds.*

```{image} generated/conclusion_drop.svg
:alt: accuracy lost at the predicted thresholds, a row per chapter, a mark per rule
```

*What pruning at the predicted threshold costs. Right of the line: more than five points.*"""


def conclusion(chapters: Mapping[str, Sequence[Record]]) -> str:
    """What the records say about the theory, as Markdown.

    Parameters
    ----------
    chapters : mapping of str to sequence of Record
        Records by name of chapter, one per seed.

    Returns
    -------
    str
        Sentences and tables; with fewer than `MIN_CHAPTERS` chapters to judge, that there are too
        few.
    """
    predicted = predictions(chapters)
    errors = per_chapter(predicted)
    names = list(dict.fromkeys(errors["chapter"]))
    unjudged = not_judged(chapters, names)
    if len(names) < MIN_CHAPTERS:
        return (
            f"**Too little to conclude from.** {counted(len(names), 'chapter')} of this profile "
            f"can be judged, and {MIN_CHAPTERS} are needed: the rules are fitted to chapters "
            f"other than the one they are judged on.\n\n{unjudged}"
        )
    parts = [
        in_short(errors),
        *(how_near(errors, method) for method in THEORY),
        by_kind(errors),
        *(against_rules(errors, method) for method in THEORY),
        costs(errors),
        _multiplicity(),
        unjudged,
        FIGURES,
        "## Errors by chapter",
        "Each cell says by which factor the predicted threshold misses that of the accuracy: ÷ is "
        "early, × late, ± late on some seeds and early on others, ≈ within a grid step. With "
        "several seeds it is the geometric mean of the factors. *Miss*: no prediction on at least "
        "one seed.",
        f":::{{div}} wide-table\n{by_chapter(errors)}\n:::",
        "## Summary",
        f":::{{div}} wide-table\n{summary(predicted, errors)}\n:::",
        "## Does it depend on our choices?",
        "Median factor if the accuracy may fall by 2 or 10 points instead of 5, and if the rules "
        "are fitted to other *networks* only, not just to other chapters.",
        f":::{{div}} wide-table\n{robustness(chapters, predicted)}\n:::",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


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


def in_short(errors: pd.DataFrame) -> str:
    """The whole page in a few sentences.

    Parameters
    ----------
    errors : DataFrame
        As returned by :func:`companion.paper.predictors.per_chapter`.

    Returns
    -------
    str
        Markdown.
    """
    chapters = errors["chapter"].nunique()
    predicts = [m for m in THEORY if 2 * len(near(errors, m)) >= chapters]
    if len(predicts) == len(THEORY):
        first = f"the free energy predicts where accuracy gives way to a factor of {2**NEAR:.1f}"
    elif predicts:
        first = (
            f"one of the two free energies ({NAMES[predicts[0]]}) predicts where accuracy gives "
            f"way to a factor of {2**NEAR:.1f}, the other does not"
        )
    else:
        first = (
            "the free energy does not predict where accuracy gives way: most chapters are off by "
            f"more than a factor of {2**NEAR:.1f}"
        )
    costly = {predictor: len(unsafe(errors, predictor)) for predictor in PREDICTORS}
    rules = sorted(costly[rule] for rule in RIVALS)
    return (
        f"**In short.** In the {counted(chapters, 'chapter')} judged, {first}. Of "
        f"{len(RIVALS)} simple rules on the same activations, {ahead(errors, 'FE')} come nearer in "
        f"the median than F under full evaluation and {ahead(errors, 'RFE')} nearer than the "
        f"renormalized F. "
        f"Pruning at the predicted threshold costs more than {100 * UNSAFE:.0f} points of "
        f"accuracy in {costly['FE']} of these chapters under full evaluation, in "
        f"{costly['RFE']} renormalized, in {rules[0]} to {rules[-1]} with these "
        f"rules, and in {costly['careful']} with one made to be safe."
    )


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
    own = errors[errors["predictor"].isin(THEORY)]
    early, late = own["early"].sum(), own["late"].sum()
    if early > 2 * late:
        head = "**Where F errs, it is mostly early**, which is safe and leaves sparsity unused."
    elif late > 2 * early:
        head = "**Where F errs, it is mostly late**, which is not safe."
    else:
        head = "**F errs to both sides.**"
    sentences = [head]
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


def not_judged(chapters: Mapping[str, Sequence[Record]], judged: Sequence[str]) -> str:
    """Chapters without a target, and whether F marks a threshold there all the same.

    Parameters
    ----------
    chapters : mapping of str to sequence of Record
        Records by name of chapter, one per seed.
    judged : sequence of str
        Names of the chapters with a target.

    Returns
    -------
    str
        Markdown, empty where every chapter with a record has one.
    """
    left = {name: records for name, records in chapters.items() if records and name not in judged}
    if not left:
        return ""
    runs = [record.result["thresholds"] for records in left.values() for record in records]
    found = {m: sum(run[m] is not None for run in runs) for m in CURVES}
    return (
        f"Not judged, because the accuracy does not fall by {100 * UNSAFE:.0f} points on the grid "
        f"or has done so at its first threshold: {_titles(list(left))}. F has a feature there all "
        f"the same in {found['full']} of {counted(len(runs), 'run')} under full evaluation and in "
        f"{found['renormalized']} renormalized."
    )
