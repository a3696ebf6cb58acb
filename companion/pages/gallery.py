"""Figures of the first page: one of all chapters, and a small one of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from companion.pages.predictions import MARKS, demo_note, fraction
from companion.paper import published
from companion.paper.comparison import NEAR, RIVALS
from companion.paper.runs import THEORY
from companion.runs.chapters import Chapter, chapter_title
from companion.runs.methods import CURVES
from companion.runs.records import Record
from thermo_utils.figures import ACCURACY, FULL, RENORMALIZED, SHOWN_BETA, STYLE

__all__ = ["all_dots", "all_dots_alt", "small_multiple", "small_multiple_alt"]

#: Names of what is compared, and sizes of the marks.
SHOWN: Final[Mapping[str, tuple[str, float]]] = {
    "FE": ("F, full evaluation", 6.5),
    "RFE": ("F, renormalized", 5.5),
    "rules": ("simple rules", 3.5),
}
#: Points of a curve that are drawn in a small figure: more than it has pixels say nothing.
POINTS: Final = 48
#: The paper's thresholds are drawn at least this wide, a share of the axis of sparsities.
LEAST: Final = 0.012


def all_dots(predicted: pd.DataFrame, *, narrow: bool = False, synthetic: bool = False) -> Figure:
    """Predicted thresholds over those of the accuracy, a row per chapter, a mark per run.

    Parameters
    ----------
    predicted : DataFrame
        As returned by :func:`companion.paper.predictors.predictions`.
    narrow : bool, default False
        Whether it is for a telephone.
    synthetic : bool, default False
        Whether to mark the figure as made from generated data.

    Returns
    -------
    Figure
        Free energies and simple rules differ in shape and lightness, not in colour alone. A free
        energy without a prediction is a cross at the right; a rule without one is left out.
    """
    names = list(dict.fromkeys(predicted["chapter"]))
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(
            figsize=(3.7 if narrow else 6.2, 1.3 + 0.215 * max(len(names), 1)),
            layout="constrained",
        )
        for row in range(len(names)):
            axis.axhline(row, color="#eeeeee", lw=0.8, zorder=0)
        axis.axvspan(2**-NEAR, 2**NEAR, color="#fff1c9", lw=0, zorder=0)
        axis.axvline(1, color=ACCURACY, lw=1.1, zorder=1)
        rules = predicted[predicted["predictor"].isin(RIVALS)]
        _dots(axis, rules, names, "rules", "s", "#9a9a9a")
        theory = {name: predicted[predicted["predictor"] == name] for name in THEORY}
        _dots(axis, theory["FE"], names, "FE", "o", MARKS["FE"][0], hollow=True)
        _dots(axis, theory["RFE"], names, "RFE", "D", MARKS["RFE"][0])
        axis.set_xscale("log", base=2)
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: fraction(value)))
        axis.xaxis.set_minor_locator(NullLocator())
        low, high = axis.get_xlim()
        missed = {
            name: [names.index(n) for n in own.loc[own["tau"].isna(), "chapter"]]
            for name, own in theory.items()
        }
        if any(missed.values()):
            # A miss has no place on the axis, and must be seen all the same.
            at = high * 1.15
            for (name, rows), shift in zip(missed.items(), (-0.17, 0.17), strict=True):
                axis.plot(
                    np.full(len(rows), at), np.add(rows, shift), ls="none", marker="x",
                    color=MARKS[name][0], ms=5, mew=1.6,
                )  # fmt: skip
            axis.annotate("none", (at, -0.75), ha="center", fontsize=8, annotation_clip=False)
            axis.set_xlim(low, high * 1.5)
        axis.set_yticks(range(len(names)), [chapter_title(name) for name in names])
        axis.tick_params("both", labelsize=7.5 if narrow else 8.5)
        axis.set_ylim(max(len(names), 1) - 0.4, -0.6)
        axis.grid(axis="y", visible=False)
        axis.set_xlabel(
            "← early, safe    late, costly →\npredicted / measured threshold"
            if narrow
            else "← early, safe     predicted / measured threshold     late, costly →",
            fontsize=8 if narrow else 9.5,
        )
        figure.legend(
            loc="outside upper center", ncols=2 if narrow else 3, frameon=False,
            fontsize=8 if narrow else 9,
        )  # fmt: skip
        demo_note(figure, synthetic=synthetic)
        plt.close(figure)
    return figure


def _dots(
    axis: Axes, rows: pd.DataFrame, names: Sequence[str], what: str, marker: str, color: str,
    *, hollow: bool = False,
) -> None:  # fmt: skip
    label, size = SHOWN[what]
    at = [names.index(name) for name in rows["chapter"]]
    axis.plot(
        2 ** rows["octaves"].to_numpy(np.float64), at, ls="none", marker=marker, color=color,
        ms=size, label=label, mfc="none" if hollow else color, mew=1.6 if hollow else 0,
        alpha=0.55 if what == "rules" else 1, zorder=2 if what == "rules" else 3,
    )  # fmt: skip


def all_dots_alt(predicted: pd.DataFrame) -> str:
    """What is seen in :func:`all_dots`, in words.

    Parameters
    ----------
    predicted : DataFrame
        As for :func:`all_dots`.

    Returns
    -------
    str
        One line, with counts of runs.
    """
    texts = []
    for name in THEORY:
        own = predicted[predicted["predictor"] == name]
        octaves = own["octaves"]
        sides = ((octaves < -NEAR).sum(), (octaves.abs() <= NEAR).sum(), (octaves > NEAR).sum())
        texts.append(
            f"{SHOWN[name][0]}: {sides[0]} left of the band, {sides[1]} in it, {sides[2]} right "
            f"of it, {int(own['tau'].isna().sum())} without a prediction"
        )
    chapters = predicted["chapter"].nunique()
    return (
        f"A row for each of {chapters} chapters, a mark for each run and rule, on an axis of "
        "powers of two: the predicted threshold over the measured one. A band from one over "
        f"{2**NEAR:.1f} to {2**NEAR:.1f} is where a prediction counts as near. Runs of "
        f"{'; of '.join(texts)}."
    )


def small_multiple(chapter: Chapter, records: Sequence[Record]) -> Figure:
    """A chapter at a glance: accuracy and free energy over the sparsity, without numbers.

    Parameters
    ----------
    chapter : Chapter
        Which.
    records : sequence of Record
        Its records, by seed; at least one.

    Returns
    -------
    Figure
        Curves of the first record. Lines mark the thresholds of every record, bands those of the
        paper: of the accuracy in the upper panel, of the free energies in the lower one.
    """
    full, fast = (records[0].curve(method) for method in CURVES)
    with plt.rc_context(STYLE | {"axes.grid": False, "font.size": 8}):
        figure, (upper, lower) = plt.subplots(
            2, 1, figsize=(2.0, 1.6), sharex=True, height_ratios=(1, 1.25)
        )
        figure.subplots_adjust(left=0.02, right=0.98, top=0.985, bottom=0.13, hspace=0.07)
        _line(upper, full, "accuracy", ACCURACY, "-")
        upper.set_ylim(0, 1.08 * max(full["accuracy"].max(), full.attrs["baseline_accuracy"]))
        _line(lower, fast, "free_energy", RENORMALIZED, (0, (3, 1.2)))
        _line(lower, full, "free_energy", FULL, "-")
        _focus(lower, full["free_energy"][full["beta"] <= SHOWN_BETA])
        for record in records:
            thresholds = record.result["thresholds"]
            for axis, method, color, style in (
                (upper, "accuracy", ACCURACY, "-"),
                (lower, "full", FULL, "-"),
                (lower, "renormalized", RENORMALIZED, (0, (3, 1.2))),
            ):
                if (found := thresholds[method]) is not None:
                    axis.axvline(found["beta"], color=color, ls=style, lw=0.9, alpha=0.8)
        for axis, method, color in ((upper, "accuracy", ACCURACY), (lower, "full", FULL)):
            for low, high in _stated(chapter, method):
                middle, half = (low + high) / 2, max(high - low, LEAST) / 2
                axis.axvspan(middle - half, middle + half, color=color, alpha=0.28, lw=0)
        for axis in (upper, lower):
            axis.set(xlim=(0, 1), yticks=[])
            axis.xaxis.set_major_locator(FixedLocator([]))
        for x, text, side in ((0, "0", "left"), (0.5, "β", "center"), (1, "1", "right")):
            lower.text(x, -0.03, text, ha=side, va="top", transform=lower.transAxes)
        plt.close(figure)
    return figure


def _line(axis: Axes, curve: pd.DataFrame, y: str, color: str, style: object) -> None:
    kept = curve[curve["beta"] <= SHOWN_BETA] if y == "free_energy" else curve
    shown = kept[["beta", y]].dropna().to_numpy()
    if len(shown) > POINTS:
        # Evenly over what is drawn: the grid is dense where little is pruned.
        steps = np.hypot(*(np.diff(shown, axis=0) / np.ptp(shown, axis=0).clip(1e-12)).T)
        length = np.concatenate([[0.0], np.cumsum(steps)])
        keep = np.searchsorted(length, np.linspace(0, length[-1], POINTS)).clip(0, len(shown) - 1)
        shown = shown[np.unique(keep)]
    axis.plot(*shown.T, color=color, ls=style, lw=1.2)


def _focus(axis: Axes, values: pd.Series) -> None:
    """Limit an axis to the bulk: the free energy runs away where little is left."""
    known = values.dropna()
    if len(known) > 1:
        low, high = known.quantile([0.02, 0.98])
        margin = 0.2 * (high - low) or 1.0
        axis.set_ylim(low - margin, high + margin)


def _stated(chapter: Chapter, method: str) -> list[tuple[float, float]]:
    """Sparsities at which the paper puts a threshold, every statement once."""
    if chapter.figure is None:
        return []
    table = published.lookup(chapter.model, chapter.dataset, "beta_star", method)
    return list(dict.fromkeys(table[["low", "high"]].dropna().itertuples(index=False, name=None)))


def small_multiple_alt(chapter: Chapter, records: Sequence[Record]) -> str:
    """What is seen in :func:`small_multiple`, in words.

    Parameters
    ----------
    chapter, records
        As for :func:`small_multiple`.

    Returns
    -------
    str
        One line: sparsities of the thresholds, as the middle of those of all records.
    """
    words = []
    for method, name in (
        ("accuracy", "accuracy gives way"),
        ("full", "first feature of F under full evaluation"),
        ("renormalized", "of the renormalized F"),
    ):
        found = [r.result["thresholds"][method] for r in records]
        betas = [one["beta"] for one in found if one is not None]
        words.append(f"{name} {f'at {np.median(betas):.2f}' if betas else 'nowhere'}")
    paper = "; ".join(
        f"{published.as_range(low, high)}" for low, high in _stated(chapter, "accuracy")
    )
    stated = f"; the paper has the accuracy at {paper}" if paper else ""
    return f"{chapter.title}, over the sparsity: {', '.join(words)}{stated}"
