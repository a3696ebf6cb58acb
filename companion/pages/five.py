"""The conclusion in five sentences, each computed, for readers for and against the theory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd

from companion.pages.claim_links import about
from companion.pages.frontier import merit_words
from companion.pages.predictions import factor, points
from companion.pages.tables import counted
from companion.paper.comparison import LEVEL, NEAR, RIVALS, ahead, near, standing
from companion.paper.frontier import advantages, merit
from companion.paper.runs import THEORY
from companion.paper.targets import DEFAULT, TARGETS
from companion.paper.verdict import MIN_CHAPTERS, Verdict
from companion.runs.chapters import chapter_title

__all__ = ["five_sentences", "merit_sentence", "side_of_errors"]

#: Errors to one side are most of them if they are more than this many times those to the other.
MOSTLY: Final = 2


def five_sentences(found: Verdict) -> str:
    """What the records say, to be quoted.

    Parameters
    ----------
    found : Verdict
        With enough chapters.

    Returns
    -------
    str
        Markdown, a numbered list; each with a link to the claims it is about.
    """
    sentences = {
        "nearness": _near(found.errors),
        "early or late": _side(found.errors),
        "reliability": _rules(found.errors),
        "where accuracy gives way": _targets(found.by_target),
        "safety": merit_sentence(found.frontier, advantages(found.outcomes, "RFE")),
    }
    return "\n".join(
        f"{k}. {sentence} ({about(subject)})"
        for k, (subject, sentence) in enumerate(sentences.items(), 1)
    )


def side_of_errors(errors: pd.DataFrame) -> tuple[str, str]:
    """On which side of the target the free energies err.

    Parameters
    ----------
    errors : DataFrame
        As returned by :func:`companion.paper.predictors.per_chapter`.

    Returns
    -------
    side, consequence : str
        The beginning of a sentence, and how it goes on; the latter may be empty.
    """
    own = errors[errors["predictor"].isin(THEORY)]
    early, late = own["early"].sum(), own["late"].sum()
    if early > MOSTLY * late:
        return "Where F errs, it is mostly early", ", which is safe and leaves sparsity unused"
    if late > MOSTLY * early:
        return "Where F errs, it is mostly late", ", which is not safe"
    return "F errs to both sides", ""


def _near(errors: pd.DataFrame) -> str:
    chapters = errors["chapter"].nunique()
    close = {method: len(near(errors, method)) for method in THEORY}
    median = {m: factor(errors.loc[errors["predictor"] == m, "octaves"].median()) for m in THEORY}
    predicting = sum(2 * number >= chapters for number in close.values())
    claim = {
        0: "**The free energy does not predict where accuracy gives way**",
        1: "**One of the two free energies predicts where accuracy gives way, the other does not**",
        2: "**The free energy predicts where accuracy gives way**",
    }[predicting]
    return (
        f"{claim}: its first feature lies within a factor of {2**NEAR:.1f} of the threshold at "
        f"which {DEFAULT.name} is lost in {close['FE']} of {counted(chapters, 'chapter')} under "
        f"full evaluation and in {close['RFE']} renormalized, and the median chapter is off by a "
        f"factor of {median['FE']} and {median['RFE']}{_none_means(*median.values())}."
    )


def _none_means(*factors: str) -> str:
    return " (none: the median chapter has no prediction)" if "none" in factors else ""


def _side(errors: pd.DataFrame) -> str:
    side, consequence = side_of_errors(errors)
    own = {method: errors[errors["predictor"] == method] for method in THEORY}
    sums = {
        method: (int(part["early"].sum()), int(part["late"].sum())) for method, part in own.items()
    }
    return (
        f"**{side}**{consequence}: of {counted(int(own['FE']['seeds'].sum()), 'run')}, "
        f"{sums['FE'][0]} are early by more than a grid step and {sums['FE'][1]} late under full "
        f"evaluation, {sums['RFE'][0]} and {sums['RFE'][1]} renormalized."
    )


def _rules(errors: pd.DataFrame) -> str:
    sorted_ = [standing(errors, method) for method in THEORY]
    nearer, farther, undecided = (sum(len(each[k]) for each in sorted_) for k in range(3))
    tests = nearer + farther + undecided
    strict = sum(
        c.p < LEVEL / tests for each in sorted_ for part in each[:2] for c in part.values()
    )
    if 2 * undecided > tests:
        claim = "Against simple rules on the same activations, most is undecided"
    elif nearer > farther:
        claim = "Simple rules on the same activations come nearer where that can be told"
    elif nearer < farther:
        claim = "Simple rules on the same activations are farther off where that can be told"
    else:
        claim = "Against simple rules on the same activations, F wins as often as it loses"
    return (
        f"**{claim}**: of {tests} comparisons with rules that know only the sizes of the "
        f"activations, a sign test over the chapters establishes {nearer} for the rule and "
        f"{farther} for the free energy ({strict} of these also at the level that so many tests "
        f"ask for) and leaves {undecided} open; in the median "
        f"{ahead(errors, 'FE')} of {len(RIVALS)} rules are nearer than F under full evaluation and "
        f"{ahead(errors, 'RFE')} nearer than the renormalized F."
    )


def _targets(by_target: Mapping[str, pd.DataFrame]) -> str:
    judged = {
        name: by_target[name]
        for name in TARGETS
        if by_target[name]["chapter"].nunique() >= MIN_CHAPTERS
    }
    ranges, shares, ends = [], [], []
    for method, words in (("FE", "under full evaluation"), ("RFE", "renormalized")):
        own = {n: t.loc[t["predictor"] == method, "octaves"] for n, t in judged.items()}
        median = pd.Series({name: octaves.median() for name, octaves in own.items()})
        shares += [(octaves <= NEAR).mean() for octaves in own.values()]
        ends += [factor(median.min()), factor(median.max())]
        ranges.append(
            f"from {factor(median.min())} ({_with_chapters(median.idxmin(), judged)}) to "
            f"{factor(median.max())} ({_with_chapters(median.idxmax(), judged)}) {words}"
        )
    most = int(np.sum(np.array(shares) >= 0.5))
    half = (
        "and with none of them are half of the chapters"
        if most == 0
        else f"and in {most} of {len(shares)} cases at least half of the chapters are"
    )
    return (
        f"**The size of the error depends on what giving way means**: over {len(judged)} targets "
        f"the median factor runs {' and '.join(ranges)}, {half} within a factor of "
        f"{2**NEAR:.1f}{_none_means(*ends)}."
    )


def _with_chapters(name: object, judged: Mapping[str, pd.DataFrame]) -> str:
    return f"{name}, {counted(judged[str(name)]['chapter'].nunique(), 'chapter')}"


def merit_sentence(table: pd.DataFrame, without: Mapping[str, float]) -> str:
    """The renormalized F as a threshold to prune at, against a simple rule of equal risk.

    Parameters
    ----------
    table : DataFrame
        The frontier.
    without : mapping of str to float
        By the name of a chapter, how many times as sparse F is as that rule without it.

    Returns
    -------
    str
        With the claim in bold. Chapters without which it is not better are named, or counted
        where they are more than two.
    """
    fast, full = merit(table, "RFE"), merit(table, "FE")
    ratios = np.array(list(without.values()))
    needed = [chapter_title(name) for name, ratio in without.items() if ratio <= 1]
    if fast.sparsity <= fast.rule_sparsity:
        claim = "is no better than a simple rule of equal risk"
    elif needed:
        which = " or ".join(needed) if len(needed) < 3 else f"any one of {len(needed)} chapters"
        claim = f"is better than a simple rule of equal risk, but not without {which}"
    else:
        claim = "is better than a simple rule of equal risk"
    left_out = (
        f" ({ratios.min():.1f} to {ratios.max():.1f} times with any one chapter left out)"
        if np.isfinite(ratios).all()
        else ""
    )
    return (
        f"**As a threshold to prune at, the renormalized F {claim}**: "
        f"{merit_words(table, 'RFE')}{left_out}; whoever measures the accuracy reaches "
        f"{fast.bound:.2f}, and the first feature under full evaluation loses at most "
        f"{points(full.loss)} points at {full.sparsity:.2f}."
    )
