"""The conclusion of the book, computed from the records: does the free energy predict the drop?

Every sentence follows from the tables of errors, so it stays true when records are added. What wins
and what loses is decided by rules stated here, not by whoever writes the page.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final

import pandas as pd
from matplotlib.figure import Figure

from companion.pages.claim_links import about
from companion.pages.figures import two_widths
from companion.pages.five import five_sentences
from companion.pages.frontier import FLOOR, frontier_figure, frontier_table
from companion.pages.nearness import (
    against_rules,
    by_kind,
    costs,
    ended,
    how_near,
    multiplicity,
    not_judged,
)
from companion.pages.predictions import by_chapter, dots, summary
from companion.pages.tables import counted
from companion.pages.targets import (
    accuracy_table,
    calibration_text,
    targets_figure,
    targets_table,
    unjudged,
)
from companion.paper.comparison import NEAR, UNSAFE
from companion.paper.runs import THEORY
from companion.paper.targets import DEFAULT, TARGETS
from companion.paper.verdict import MIN_CHAPTERS, Verdict

__all__ = [
    "conclusion",
    "conclusion_figures",
]

#: Subjects of the claims on how near each free energy is.
NEARNESS: Final = {"FE": "nearness under full evaluation", "RFE": "nearness renormalized"}
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
        f"allowed. Losses below {FLOOR:g} points are drawn there. Dotted: {100 * UNSAFE:g} point.",
    ),
    "targets": (
        f"Upper panel: median factor by which each rule is off, over up to {len(TARGETS)} targets "
        "from half a point of loss to the knee of the accuracy curve; lower panel: share of the "
        f"chapters within a factor of {2**NEAR:.1f}; the numbers are in the table above.",
        "Each colour and mark is a rule; the drops are joined. "
        f"In brackets: how many chapters have that target. Dotted: a factor of {2**NEAR:.1f}.",
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
        *(_linked(how_near(errors, m), NEARNESS[m]) for m in THEORY),
        _linked(by_kind(errors), "images and texts"),
        *(_linked(against_rules(errors, method), "reliability") for method in THEORY),
        multiplicity(),
        left_out,
        ended(found.predicted, found.runs),
        "Every prediction stands in {numref}`fig-conclusion-ratio`.",
        _figure("ratio"),
        "## Is it a safe threshold?",
        _linked(costs(errors), "safety"),
        "{numref}`fig-conclusion-frontier` shows what is gained at which risk, "
        "{numref}`fig-conclusion-drop` what every prediction costs.",
        _figure("frontier"),
        _wide(frontier_table(found.frontier)),
        _figure("drop"),
        "## What does giving way mean?",
        _linked(calibration_text(found.runs), "where accuracy gives way"),
        f"Median factor off, and in brackets the number of chapters within a factor of "
        f"{2**NEAR:.1f}, for every target; with *of*, the chapters a rule is judged on, where "
        "grids end before its prediction. In the last row the rules are fitted to other "
        "*networks* only, not just to other chapters. {numref}`fig-conclusion-targets` draws it.",
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
    draw = {
        "ratio": partial(dots, found.predicted, "ratio"),
        "drop": partial(dots, found.predicted, "drop"),
        "frontier": partial(frontier_figure, found.frontier),
        "targets": partial(targets_figure, found.by_target),
    }
    figures: dict[str, Figure] = {}
    for name, one in draw.items():
        figures |= two_widths(f"conclusion_{name}", partial(one, synthetic=synthetic))
    return figures


def _linked(text: str, subject: str) -> str:
    """A paragraph with a link to the claims it is about, where there is anything to say."""
    return f"{text} ({about(subject)})" if text else ""


def _figure(name: str) -> str:
    alt, caption = FIGURES[name]
    return (
        f"```{{figure}} generated/static/conclusion_{name}.svg\n:name: fig-conclusion-{name}\n"
        f":alt: {alt}\n\n{caption}\n```"
    )


def _wide(table: str) -> str:
    return f":::{{div}} wide-table\n{table}\n:::"


def _left_out_by_target(targets: Mapping[str, pd.DataFrame]) -> str:
    lines = [
        f"- *{name}*: {words}."
        for name, table in targets.items()
        if name != DEFAULT.name and (words := unjudged(table))
    ]
    return "\n".join(["Not judged, because", "", *lines]) if lines else ""
