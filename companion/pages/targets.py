"""How the verdict depends on the target: a table, a figure, and why one target is the default."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from companion.pages.predictions import (
    HEADS,
    LINES,
    MARKS,
    NAMES,
    demo_note,
    factor,
    interval_words,
    points,
    rules_legend,
)
from companion.pages.seeds import mean_sd
from companion.pages.tables import markdown
from companion.paper.calibration import calibration, published_losses
from companion.paper.comparison import NEAR, near
from companion.paper.predictors import PREDICTORS
from companion.paper.runs import Run
from companion.paper.targets import DEFAULT, DROPS, REASONS, TARGETS, at_drop
from companion.runs.chapters import chapter_title, chapter_titles
from thermo_utils.figures import STYLE
from thermo_utils.panel_layout import PHONE

__all__ = [
    "accuracy_table",
    "calibration_text",
    "targets_figure",
    "targets_table",
    "unjudged",
]


def targets_table(errors: Mapping[str, pd.DataFrame]) -> str:
    """Median factor and chapters within a factor of 1.4, a row per target.

    Parameters
    ----------
    errors : mapping of str to DataFrame
        As returned by :func:`companion.paper.verdict.verdict`, its ``by_target``.

    Returns
    -------
    str
        Markdown.
    """
    rows = []
    for name, table in errors.items():
        words = f"**{name}**" if name == DEFAULT.name else name
        cells = [_cell(table, predictor) for predictor in PREDICTORS]
        rows.append([words, table["chapter"].nunique(), *cells])
    return markdown(["target", "chapters", *(HEADS[p] for p in PREDICTORS)], rows)


def _cell(errors: pd.DataFrame, predictor: str) -> str:
    octaves = errors.loc[errors["predictor"] == predictor, "octaves"].dropna()
    if octaves.empty:
        return ""
    all_judged = len(octaves) == errors["chapter"].nunique()
    of = "" if all_judged else f" of {len(octaves)}"
    return f"{factor(octaves.median())} ({len(near(errors, predictor))}{of})"


def targets_figure(
    errors: Mapping[str, pd.DataFrame], *, synthetic: bool = False, narrow: bool = False
) -> Figure:
    """Median factor and share of chapters within a factor of 1.4 over targets.

    Parameters
    ----------
    errors : mapping of str to DataFrame
        As returned by :func:`companion.paper.verdict.verdict`, its ``by_target``. Targets that no
        chapter has are left out.
    synthetic : bool, default False
        Whether to mark the figure as made from generated data.
    narrow : bool, default False
        Whether it is for a telephone.

    Returns
    -------
    Figure
        Two panels.
    """
    shown = {
        name: table
        for name, table in errors.items()
        if name in TARGETS and table["octaves"].notna().any()
    }
    ordered = sum(at_drop(drop).name in shown for drop in DROPS)
    with plt.rc_context(STYLE):
        figure, (above, below) = plt.subplots(
            2, 1, figsize=(PHONE, 7.2) if narrow else (6.6, 6.4), layout="constrained",
            sharex=True, height_ratios=(3, 2),
        )  # fmt: skip
        for predictor in PREDICTORS:
            color, marker = MARKS[predictor]
            own = [table[table["predictor"] == predictor]["octaves"] for table in shown.values()]
            median = np.array([octaves.median() for octaves in own])
            share = [100 * (o <= NEAR).sum() / max(o.notna().sum(), 1) for o in own]
            off = 2 ** np.where(np.isfinite(median), median, np.nan)
            for axis, values in ((above, off), (below, np.array(share))):
                axis.plot(
                    values, color=color, marker=marker, ls="none", ms=5.5,
                    mew=2 if marker == "|" else 0, label=NAMES[predictor],
                )  # fmt: skip
                # Only drops have an order: the other targets are not joined.
                axis.plot(values[:ordered], color=color, lw=1.0, ls=LINES[predictor])
        above.axhline(2**NEAR, color="#555555", lw=0.9, ls=":")
        above.set_yscale("log", base=2)
        above.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        above.yaxis.set_minor_locator(NullLocator())
        above.set_ylabel("median factor off")
        below.set_ylim(bottom=0)
        below.set_ylabel(f"chapters within {2**NEAR:.1f}, %")
        labels = [f"{n} ({t['chapter'].nunique()})" for n, t in shown.items()]
        below.set_xticks(range(len(shown)), labels, rotation=40, ha="right")
        below.set_xlabel("target (chapters judged)")
        rules_legend(figure, above, narrow=narrow)
        demo_note(figure, synthetic=synthetic)
        plt.close(figure)
    return figure


def accuracy_table(runs: Sequence[Run], targets: pd.DataFrame) -> str:
    """Where the accuracy gives way, and what the test examples leave open: a row per chapter.

    Parameters
    ----------
    runs : sequence of Run
        As returned by :func:`companion.paper.runs.runs`.
    targets : DataFrame
        Those of the runs, see :func:`companion.paper.targets.read_targets`.

    Returns
    -------
    str
        Markdown.
    """
    table = targets.copy()
    table["samples"] = [run.full.attrs.get("samples", np.nan) for run in runs]
    table["accuracy"] = [run.full.attrs["baseline_accuracy"] for run in runs]
    table["lift"] = [run.lift for run in runs]
    rows = []
    for name, own in table.groupby("chapter", sort=False):
        judged = own[own["reason"] == ""]
        rows.append(
            [
                f"[{chapter_title(str(name))}](chapters/{name})",
                ", ".join(f"{x:,.0f}" for x in dict.fromkeys(own["samples"].dropna())),
                mean_sd(list(100 * own["accuracy"]), digits=1, unit=" %"),
                points(own["lift"].iloc[0]),  # the mean of the chapter already
                ", ".join("none" if np.isnan(tau) else f"{tau:g}" for tau in own["tau"]),
                "; ".join(
                    dict.fromkeys(
                        interval_words(low, high)
                        for low, high in zip(judged["low"], judged["high"], strict=True)
                    )
                ),
            ]
        )
    return markdown(
        ["chapter", "test examples", "accuracy", "lift, points", "threshold, each seed",
         "interval of two standard errors"], rows,
    )  # fmt: skip


def unjudged(targets: pd.DataFrame) -> str:
    """Which chapters a target does not judge, and why.

    Parameters
    ----------
    targets : DataFrame
        As returned by :func:`companion.paper.targets.read_targets`.

    Returns
    -------
    str
        Words that go on "not judged, because"; empty where every run is judged. A chapter is named
        with each reason that one of its seeds has.
    """
    parts = []
    for reason, words in REASONS.items():
        names = dict.fromkeys(targets.loc[targets["reason"] == reason, "chapter"])
        if names and len(names) == targets["chapter"].nunique():
            parts.append(f"{words}: all chapters")
        elif names:
            parts.append(f"{words}: {chapter_titles(names)}")
    return "; ".join(parts)


def calibration_text(runs: Sequence[Run]) -> str:
    """Why the default target is what it is.

    Parameters
    ----------
    runs : sequence of Run
        As returned by :func:`companion.paper.runs.runs`.

    Returns
    -------
    str
        Markdown; empty where no network is trained from scratch as the paper's is.
    """
    table, losses = calibration(runs), published_losses(runs)
    if not losses:
        return ""
    known = table[table["chapters"] > 0]
    ratios = ", ".join(
        f"{ratio:.2f} for {100 * drop:g}"
        for ratio, drop in zip(known["ratio"], known["drop"], strict=True)
    )
    least, most = min(losses.values()), max(losses.values())
    nearest = table.loc[np.log(table["ratio"]).abs().idxmin(), "drop"]
    return (
        f"**Why {DEFAULT.name}.** The paper prints where accuracy gives way and states no rule. At "
        f"its thresholds, our networks that are trained from scratch as its own are "
        f"({len(losses)} chapters) lose {points(least)} to {points(most)} points. Our threshold "
        f"over the published one has, over these chapters, the median {ratios} points of loss "
        f"allowed; nearest to the paper's eye is {100 * nearest:g}. The default is "
        f"{DEFAULT.name}, the next round number{_half_of_that(runs)}."
    )


def _half_of_that(runs: Sequence[Run]) -> str:
    """What half the default drop is on the smallest test set, which may not be known."""
    samples = min((run.full.attrs.get("samples", np.inf) for run in runs), default=np.inf)
    if not np.isfinite(samples):
        return ""
    half = samples * DEFAULT.drop(np.nan) / 2
    return f": half of that is {half:g} of {samples:,} examples on the smallest test set"
