"""The conclusion of the book, computed from the records: does the free energy predict the drop?

Every sentence follows from the table of errors, so it stays true when records are added. What wins
and what loses is decided by rules stated here, not by whoever writes the page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from companion.data.specs import DATASETS
from companion.pages.tables import chapter_title, markdown
from companion.paper.predictors import BASELINES, PREDICTORS, THEORY, compare, judge, per_chapter
from companion.runs.chapters import CHAPTERS, Chapter
from companion.runs.records import Record
from thermo_utils.figures import ACCURACY, FULL, RENORMALIZED, STYLE

__all__ = ["MIN_CHAPTERS", "conclusion", "dots", "verdict"]

#: With fewer chapters there is nothing to conclude from.
MIN_CHAPTERS: Final = 3
#: A prediction is near if it is off by at most half an octave, a factor of 1.41.
NEAR: Final = 0.5
#: A difference is established if chance alone produces it less often than this.
LEVEL: Final = 0.05
#: Loss of accuracy that is too much, the same as marks the target.
UNSAFE: Final = 0.05
#: Simple rules made to be near; the remaining one is made to be safe.
RIVALS: Final = tuple(rule for rule in BASELINES if rule != "careful")
METHODS: Final = {"FE": "Under full evaluation", "RFE": "Renormalized"}
NAMES: Final[Mapping[str, str]] = {
    "FE": "F, full evaluation",
    "RFE": "F, renormalized",
    "quantile": "fixed sparsity",
    "careful": "lowest safe sparsity",
    "retained": "fixed share of the sum",
    "knee": "knee of the sparsity",
    "constant": "one threshold for all",
}
#: :func:`dots` of both values, where the book keeps them.
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
#: Heads of columns, where there are many.
HEADS: Final[Mapping[str, str]] = {
    "FE": "FE",
    "RFE": "RFE",
    "quantile": "fixed $\\beta$",
    "careful": "lowest $\\beta$",
    "retained": "fixed $\\Sigma$",
    "knee": "knee",
    "constant": "one $\\tau$",
}
MARKS: Final[Mapping[str, tuple[str, str]]] = {
    "FE": (FULL, "o"),
    "RFE": (RENORMALIZED, "o"),
    "quantile": (ACCURACY, "s"),
    "careful": ("#b8860b", "s"),
    "retained": ("#2e8b57", "D"),
    "knee": ("#8a5a9e", "^"),
    "constant": ("#999999", "|"),
}


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
    judged = judge(chapters)
    errors = per_chapter(judged)
    names = list(dict.fromkeys(errors["chapter"]))
    unjudged = _unjudged(chapters, names)
    if len(names) < MIN_CHAPTERS:
        return (
            f"**Too little to conclude from.** {_count(len(names), 'chapter')} of this profile "
            f"can be judged, and {MIN_CHAPTERS} are needed: the rules are fitted to chapters "
            f"other than the one they are judged on.\n\n{unjudged}"
        )
    parts = [
        _short(errors),
        *(_how_near(errors, method) for method in THEORY),
        _kinds(errors),
        *(verdict(errors, method) for method in THEORY),
        _costs(errors),
        _multiplicity(),
        unjudged,
        FIGURES,
        "## Errors by chapter",
        "Each cell says by which factor the predicted threshold misses that of the accuracy: ÷ is "
        "early, × late, ± late on some seeds and early on others, ≈ within a grid step. With "
        "several seeds it is the geometric mean of the factors. *Miss*: no prediction on at least "
        "one seed.",
        f":::{{div}} wide-table\n{_by_chapter(errors)}\n:::",
        "## Summary",
        f":::{{div}} wide-table\n{_summary(judged, errors)}\n:::",
        "## Does it depend on our choices?",
        "Median factor if the accuracy may fall by 2 or 10 points instead of 5, and if the rules "
        "are fitted to other *networks* only, not just to other chapters.",
        f":::{{div}} wide-table\n{_robustness(chapters)}\n:::",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def verdict(errors: pd.DataFrame, method: str) -> str:
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
    found = {rule: compare(errors, rule, method) for rule in RIVALS}
    better = [rule for rule, c in found.items() if c.wins > c.losses and c.p < LEVEL]
    worse = [rule for rule, c in found.items() if c.wins < c.losses and c.p < LEVEL]
    open_ = [rule for rule in RIVALS if rule not in better + worse]

    def listed(rules: Sequence[str]) -> str:
        texts = []
        for rule in rules:
            c = found[rule]
            n = c.wins + c.losses + c.ties
            texts.append(f"{NAMES[rule]} (nearer in {c.wins} of {n} chapters, p = {c.p:.2g})")
        return "; ".join(texts)

    name = {"FE": "F under full evaluation", "RFE": "the renormalized F"}[method]
    if better and worse:
        head = f"**Against simple rules, {name} wins some and loses some.**"
    elif better:
        head = f"**Against simple rules, {name} loses.**"
    elif worse:
        head = f"**Against simple rules, {name} wins.**"
    else:
        head = f"**Against simple rules, {name} shows no established advantage.**"
    median = errors.groupby("predictor")["octaves"].median()
    ahead = [rule for rule in RIVALS if median[rule] < median[method]]
    sentences = [
        head,
        f"Nearer than it: {listed(better)}." if better else "",
        f"Farther off: {listed(worse)}." if worse else "",
        f"Undecided: {listed(open_)}." if open_ else "",
        f"By the median error, {len(ahead)} of {len(RIVALS)} rules without any free energy are "
        "ahead of it.",
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def dots(chapters: Mapping[str, Sequence[Record]], value: str) -> Figure:
    """Predictions of every rule, a row per chapter, a mark per rule and seed.

    Parameters
    ----------
    chapters : mapping of str to sequence of Record
        As for :func:`conclusion`.
    value : {"ratio", "drop"}
        Predicted threshold over that of the accuracy, or the accuracy lost at the predicted one.

    Returns
    -------
    Figure
    """
    judged = judge(chapters)
    names = list(dict.fromkeys(judged["chapter"]))
    synthetic = any(r.result["synthetic"] for records in chapters.values() for r in records)
    with plt.rc_context(STYLE):
        height = 1.7 + 0.42 * max(len(names), 1)
        figure, axis = plt.subplots(figsize=(5.6, height), layout="constrained")
        for k, predictor in enumerate(PREDICTORS):
            rows = judged[judged["predictor"] == predictor]
            color, marker = MARKS[predictor]
            at = np.array([names.index(name) for name in rows["chapter"]], dtype=float)
            # Rules side by side within the row of a chapter, the theory on top.
            at += 0.09 * (k - (len(PREDICTORS) - 1) / 2)
            shown = 2 ** rows["octaves"] if value == "ratio" else 100 * rows["drop"]
            axis.plot(
                shown, at, marker=marker, color=color, label=NAMES[predictor], ls="none", ms=5.5,
                mew=2 if marker == "|" else 0,
            )  # fmt: skip
        for row in range(1, len(names)):
            axis.axhline(row - 0.5, color="#dddddd", lw=0.7)
        axis.set_yticks(range(len(names)), [chapter_title(name) for name in names])
        axis.set_ylim(max(len(names), 1) - 0.5, -0.5)
        axis.grid(axis="y", visible=False)
        if value == "ratio":
            axis.axvline(1, color=ACCURACY, lw=1.2)
            axis.set_xscale("log", base=2)
            axis.xaxis.set_major_formatter(FuncFormatter(_ratio))
            axis.xaxis.set_minor_locator(NullLocator())
            axis.set_xlabel("predicted threshold / threshold of the accuracy")
        else:
            axis.axvline(5, color=ACCURACY, lw=1.2)
            axis.set_xlabel("accuracy lost at the predicted threshold, points")
        figure.legend(loc="outside upper center", ncols=2, frameon=False)
        if synthetic:
            figure.suptitle("demo: synthetic data, not a reproduction", color="#b00020", y=0)
        plt.close(figure)
    return figure


def _chapter(name: str) -> Chapter:
    return next(c for c in CHAPTERS if c.name == name)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _titles(names: Sequence[str]) -> str:
    return ", ".join(map(chapter_title, names))


def _factor(octaves: float) -> str:
    return f"{2**octaves:.1f}" if np.isfinite(octaves) else "none"


def _points(share: float) -> str:
    # Never "-0.0", which a drop within rounding of nothing would give.
    return "none" if np.isnan(share) else f"{round(100 * share, 1) + 0.0:.1f}"


def _how_near(errors: pd.DataFrame, method: str) -> str:
    own = errors[errors["predictor"] == method]
    near = own[own["octaves"] <= NEAR]["chapter"].tolist()
    missed = own[own["misses"] > 0]["chapter"].tolist()
    worst = own.iloc[int(own["octaves"].argmax())]
    text = (
        f"**{METHODS[method]}**, the first feature of F lies within a factor of {2**NEAR:.1f} of "
        f"the threshold at which accuracy gives way in {len(near)} of "
        f"{_count(len(own), 'chapter')}"
        f"{f' ({_titles(near)})' if near else ''}. "
    )
    if missed:
        text += (
            f"F has no feature on at least one seed of {_titles(missed)}, which counts as a miss. "
        )
    else:
        side = "early" if worst["signed"] < 0 else "late"
        text += (
            f"It is farthest off on {_titles([worst['chapter']])}, by a factor of "
            f"{_factor(worst['octaves'])} ({side}). "
        )
    median = own["octaves"].median()
    if np.isfinite(median):
        text += f"The median chapter is off by a factor of {2**median:.1f}, "
        text += f"or {own['steps'].median():.0f} steps of the grid, "
        text += f"or {own['sparsity'].median():.2f} in sparsity."
    else:
        text += "In the median chapter there is no prediction."
    return text


def _kinds(errors: pd.DataFrame) -> str:
    """Where the theory works, by kind of network and by dataset."""
    own = errors[errors["predictor"] == "FE"]
    kinds = [DATASETS[_chapter(name).dataset].kind for name in own["chapter"]]
    texts = []
    for kind in dict.fromkeys(kinds):
        part = own[[k == kind for k in kinds]]["octaves"]
        median = part.median()
        off = f"median factor {2**median:.1f}" if np.isfinite(median) else "median: no prediction"
        near = int((part <= NEAR).sum())
        texts.append(f"on {kind}s {near} of {len(part)} chapters are near ({off})")
    return f"Under full evaluation, {' and '.join(texts)}."


def _short(errors: pd.DataFrame) -> str:
    """The whole page in two sentences."""
    chapters = errors["chapter"].nunique()
    predicts = [m for m in THEORY if 2 * _near(errors, m) >= chapters]
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
    median = errors.groupby("predictor")["octaves"].median()
    ahead = {m: sum(median[rule] < median[m] for rule in RIVALS) for m in THEORY}
    rules = sorted(_unsafe(errors, rule) for rule in RIVALS)
    return (
        f"**In short.** In the {_count(chapters, 'chapter')} judged, {first}. Of "
        f"{len(RIVALS)} simple rules on the same activations, {ahead['FE']} come nearer in the "
        f"median than F under full evaluation and {ahead['RFE']} nearer than the renormalized F. "
        f"Pruning at the predicted threshold costs more than {100 * UNSAFE:.0f} points of accuracy "
        f"in {_unsafe(errors, 'FE')} of these chapters under full evaluation, in "
        f"{_unsafe(errors, 'RFE')} renormalized, in {rules[0]} to {rules[-1]} with these "
        f"rules, and in {_unsafe(errors, 'careful')} with one made to be safe."
    )


def _near(errors: pd.DataFrame, predictor: str) -> int:
    return int((errors.loc[errors["predictor"] == predictor, "octaves"] <= NEAR).sum())


def _unsafe(errors: pd.DataFrame, predictor: str) -> int:
    """Chapters in which pruning at the predicted threshold costs too much on one of the seeds."""
    return int((errors.loc[errors["predictor"] == predictor, "worst"] > UNSAFE).sum())


def _costs(errors: pd.DataFrame) -> str:
    """Which side the theory errs on, and what that costs."""
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
            f"{METHODS[method]}, {part['early'].sum()} of "
            f"{_count(int(part['seeds'].sum()), 'run')} are early by more than a grid step and "
            f"{part['late'].sum()} late; pruning at the predicted threshold loses "
            f"{_points(part['drop'].median())} points of accuracy in the median chapter and "
            f"{_points(part['worst'].max())} in the worst run."
        )
    rule = errors[errors["predictor"] == "careful"]
    sentences.append(
        f"The simple rule made to be safe, {NAMES['careful']}, loses "
        f"{_points(rule['drop'].median())} and {_points(rule['worst'].max())}."
    )
    return " ".join(sentences)


def _multiplicity() -> str:
    tests = len(THEORY) * len(RIVALS)
    return (
        f"p is from a two-sided sign test over chapters, {tests} tests in all and none corrected "
        f"for that: a strict reader asks for p below {LEVEL / tests:g}."
    )


def _unjudged(chapters: Mapping[str, Sequence[Record]], judged: Sequence[str]) -> str:
    """Chapters without a target, and whether F marks a threshold there all the same."""
    left = {name: records for name, records in chapters.items() if records and name not in judged}
    if not left:
        return ""
    runs = [record.result["thresholds"] for records in left.values() for record in records]
    found = {m: sum(run[m] is not None for run in runs) for m in ("full", "renormalized")}
    return (
        f"Not judged, because the accuracy does not fall by {100 * UNSAFE:.0f} points on the grid "
        f"or has done so at its first threshold: {_titles(list(left))}. F has a feature there all "
        f"the same in {found['full']} of {_count(len(runs), 'run')} under full evaluation and in "
        f"{found['renormalized']} renormalized."
    )


def _cell(row: pd.Series) -> str:
    if row["misses"]:
        return "miss"
    if row["steps"] <= 1 + 1e-9:
        side = "≈"
    elif row["early"] and row["late"]:
        side = "±"
    else:
        side = "÷" if row["signed"] < 0 else "×"
    return f"{side} {_factor(row['octaves'])}"


def _ratio(value: float, _: int) -> str:
    """A power of two; below one as a fraction."""
    return f"{value:g}" if value >= 1 else f"1/{1 / value:g}"


def _by_chapter(errors: pd.DataFrame) -> str:
    rows = []
    for name, group in errors.groupby("chapter", sort=False):
        cells = {row["predictor"]: _cell(row) for _, row in group.iterrows()}
        link = f"[{chapter_title(str(name))}](chapters/{name})"
        seeds = int(group["seeds"].iloc[0])
        rows.append(
            [link + (f", {seeds} seeds" if seeds > 1 else ""), *(cells[p] for p in PREDICTORS)]
        )
    return markdown(["chapter", *(HEADS[p] for p in PREDICTORS)], rows)


def _summary(judged: pd.DataFrame, errors: pd.DataFrame) -> str:
    rows = []
    for predictor in PREDICTORS:
        own = errors[errors["predictor"] == predictor]
        values = judged.loc[judged["predictor"] == predictor, "parameter"].dropna()
        rows.append(
            [
                NAMES[predictor],
                "" if values.empty else f"{values.min():.2f} to {values.max():.2f}",
                _factor(own["octaves"].median()),
                _factor(own["octaves"].max()),
                f"{own['steps'].median():.1f}",
                f"{own['sparsity'].median():.2f}",
                f"{_near(errors, predictor)} of {len(own)}",
                _points(own["drop"].median()),
                _points(own["worst"].max()),
                f"{_unsafe(errors, predictor)} of {len(own)}",
                *(_nearer(errors, predictor, method) for method in THEORY),
            ]
        )
    header = [
        "rule", "fitted value", "median factor", "worst factor", "median steps",
        "median sparsity error", f"within {2**NEAR:.1f}", "median drop, points",
        "worst drop, points", f"drop above {100 * UNSAFE:.0f}", "nearer than FE", "nearer than RFE",
    ]  # fmt: skip
    return markdown(header, rows)


def _nearer(errors: pd.DataFrame, predictor: str, method: str) -> str:
    if predictor == method:
        return ""
    c = compare(errors, predictor, method)
    return f"{c.wins} of {c.wins + c.losses + c.ties} (p = {c.p:.2g})"


def _robustness(chapters: Mapping[str, Sequence[Record]]) -> str:
    rows = []
    for words, table in (
        ("5 points, other chapters", judge(chapters)),
        ("2 points", judge(chapters, max_drop=0.02)),
        ("10 points", judge(chapters, max_drop=0.10)),
        ("5 points, other networks", judge(chapters, together=lambda name: _chapter(name).model)),
    ):
        errors = per_chapter(table)
        medians = errors.groupby("predictor")["octaves"].median()
        cells = [_factor(medians.get(p, np.inf)) for p in PREDICTORS]
        rows.append([words, errors["chapter"].nunique(), *cells])
    return markdown(["target and fit", "chapters", *(HEADS[p] for p in PREDICTORS)], rows)
