"""What other units do to the free energy, as Markdown and a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, partial
from typing import Any, Final

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from companion.pages.claim_links import about
from companion.pages.figures import two_widths
from companion.pages.predictions import NAMES, factor, fraction, points
from companion.pages.seeds import mean_sd
from companion.pages.tables import counted, wide
from companion.paper.comparison import LEVEL, NEAR
from companion.paper.runs import THEORY, runs
from companion.paper.scale import (
    FACTORS,
    FEATURE,
    TOP,
    Judged,
    judged,
    layer_runs,
    over_scales,
    peaks,
    scale_free_runs,
    spread,
)
from companion.paper.targets import DEFAULT
from companion.runs.chapters import chapter, chapter_title, chapter_titles
from companion.runs.methods import CURVES, METHODS
from companion.runs.records import Record
from companion.runs.scale_files import RESCALED, Scale, read_scale
from companion.runs.scale_plans import obstacle
from thermo_utils.expansion import BETA
from thermo_utils.figures import STYLE, finish
from thermo_utils.looks import LOOKS
from thermo_utils.panel_layout import PHONE

__all__ = [
    "moved_sentences", "peaks_text", "read_scales", "scale_figures", "scale_sentences",
]  # fmt: skip

Chapters = Mapping[str, Sequence[Record]]
#: Scales that the table shows.
SHOWN: Final = (0.25, 0.5, 1.0, 2.0, 4.0)
#: What stands where there is no such mark.
NOTHING = "none"


def read_scales(chapters: Chapters) -> dict[tuple[str, int], Scale]:
    """What was measured in other units, beside the records.

    Parameters
    ----------
    chapters : mapping of str to sequence of Record
        Records by name of chapter, one per seed.

    Returns
    -------
    dict of (str, int) to Scale
        By chapter and seed; of networks other than the record's too.

    Raises
    ------
    ThermoError
        If something is damaged.
    """
    found = {
        (name, int(record.result["seed"])): read_scale(record.folder)
        for name, records in chapters.items()
        for record in records
    }
    return {key: scale for key, scale in found.items() if scale is not None}


def scale_sentences(chapters: Chapters) -> str:
    """How much of the critical threshold is a matter of units.

    Parameters
    ----------
    chapters : mapping of str to sequence of Record
        Records by name of chapter, one per seed.

    Returns
    -------
    str
        Markdown: what rescaling the networks does, by the identity and as measured, and whether
        free energies without units say more about the accuracy; without records, that there are
        none.

    Raises
    ------
    ThermoError
        If what was measured in other units is damaged.
    """
    chapters = {name: records for name, records in chapters.items() if records}
    if not chapters:
        return "No chapter has been run.\n"
    results = {
        (name, int(record.result["seed"])): record.result
        for name, records in chapters.items()
        for record in records
    }
    every = read_scales(chapters)
    scales = {key: scale for key, scale in every.items() if scale.fits(results[key])}
    can = _rescalable(chapters)
    parts = []
    if can:
        tables = _over_scales(can)
        parts += [_linked(_moved(tables)), _measured(can, scales), _table(tables), FIGURE]
    parts += [_cannot(chapters), *_free(chapters, scales)]
    return "\n\n".join(part for part in parts if part) + "\n"


FIGURE: Final = """\
```{figure} generated/static/scale.svg
:name: fig-scale
:alt: Sparsity at the highest point of the renormalized F, and accuracy lost there, over the scale \
of the activations, a line per network; the numbers are in the table above.

The same networks, with activations of another scale and the same predictions: where the highest
point of the renormalized F lies, and what pruning there costs, in the mean over seeds.
```"""


def scale_figures(chapters: Chapters) -> dict[str, Figure]:
    """The figure that :func:`scale_sentences` includes.

    Parameters
    ----------
    chapters : mapping of str to sequence of Record
        Records by name of chapter, one per seed.

    Returns
    -------
    dict of str to Figure
        By the name under which the book keeps it: where the highest point of F lies if a network is
        rescaled, and what pruning there costs. Empty where no network can be rescaled.
    """
    can = _rescalable(chapters)
    if not can:
        return {}
    return two_widths("scale", partial(_scale_figure, can))


def _scale_figure(can: Chapters, *, narrow: bool) -> Figure:
    synthetic = any(record.result["synthetic"] for each in can.values() for record in each)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            *((2, 1) if narrow else (1, 2)), figsize=(PHONE, 7.4) if narrow else (9.0, 3.4),
            layout="constrained",
        )  # fmt: skip
        for number, (name, records) in enumerate(can.items()):
            table = _mean(_over_seeds(tuple(records), "renormalized"))
            there = table[table["mark"] == TOP]
            look = LOOKS[number % len(LOOKS)]
            style: dict[str, Any] = {
                "color": look.color, "ls": look.line, "marker": look.marker, "ms": 4.5,
            }  # fmt: skip
            axes[0].plot(there["c"], there["beta"], label=chapter_title(name), **style)
            axes[1].plot(there["c"], 100 * there["lost"], **style)
        axes[0].set(ylabel=r"sparsity $\beta$", ylim=(0, 1))
        axes[1].set(ylabel="accuracy lost, points")
        for axis in axes:
            axis.set_xscale("log", base=2)
            axis.set(xlabel="scale $c$ of the activations")
            axis.xaxis.set_major_formatter(FuncFormatter(lambda c, _: fraction(c)))
        if narrow:
            figure.legend(loc="outside lower center", ncols=2, frameon=False)
        else:
            figure.legend(loc="outside right upper", frameon=False)
        finish(
            figure, "The same predictions, other units", synthetic, between="\n" if narrow else "  "
        )
    return figure


def peaks_text(chapters: Chapters) -> str:
    """How well the expansion at small thresholds tells where the renormalized F is highest.

    Parameters
    ----------
    chapters : mapping of str to sequence of Record
        Records by name of chapter, one per seed.

    Returns
    -------
    str
        Markdown; without records, that there are none.
    """
    table = peaks({name: records for name, records in chapters.items() if records})
    if table.empty:
        return "No chapter has been run.\n"
    both = table.dropna(subset=["predicted", "measured"])
    octaves = np.abs(np.log2(both["predicted"] / both["measured"]))
    rising = int(table["predicted"].notna().sum())
    text = (
        f"Of {counted(len(table), 'renormalized curve')} in the records, {rising} rise from zero "
        f"by this measure. "
    )
    if len(both):
        ratio = (both["predicted"] / both["measured"]).median()
        text += (
            f"Over the {len(both)} of these that have a highest point inside the grid, predicted "
            f"over measured is {ratio:.2f} in the median, and {int((octaves <= NEAR).sum())} lie "
            f"within a factor of {2**NEAR:.1f}. "
        )
    text += (
        f"The line through $T S$ is taken up to a sparsity of {BETA}; the energy and the accuracy "
        "are not looked at."
    )
    rows = [
        [
            chapter_title(str(row.chapter)),
            str(row.seed),
            f"{row.density:.2f}",
            f"{row.slope:.2f}",
            f"{row.mean:.2f}",
            _or_none(row.predicted),
            _or_none(row.measured),
            _or_none(row.beta),
        ]
        for row in table.itertuples()
    ]
    header = [
        "chapter", "seed", "p₀", "p₀′", "μ", "predicted τ", "highest at", "β there",
    ]  # fmt: skip
    return f"{text}\n\n{wide(header, rows)}\n"


def _linked(text: str) -> str:
    """With a link to the claims that a change of units bears on."""
    return f"{text} ({about('thresholds of the free energy')})"


def _or_none(value: Any) -> str:
    return NOTHING if np.isnan(value) else f"{value:.3g}"


def _command(record: Record) -> str:
    """How to measure a record's network in other units."""
    model, dataset, profile = (record.result[name] for name in ("model", "dataset", "profile"))
    return f"thermo scale {model} {dataset} --profile {profile}"


def moved_sentences(chapters: Chapters) -> str:
    """How far a change of units moves the highest point of F, to be quoted.

    Parameters
    ----------
    chapters : mapping of str to sequence of Record
        Records by name of chapter, one per seed.

    Returns
    -------
    str
        Markdown; without records, that there are none.
    """
    can = _rescalable(chapters)
    return f"{_moved(_over_scales(can))}\n" if can else "No chapter has been run.\n"


def _rescalable(chapters: Chapters) -> dict[str, Sequence[Record]]:
    return {
        name: records
        for name, records in chapters.items()
        if records and obstacle(chapter(*name.split("-")).model) is None
    }


def _over_scales(chapters: Chapters) -> dict[str, dict[str, pd.DataFrame]]:
    return {
        name: {method: _over_seeds(tuple(records), method) for method in CURVES}
        for name, records in chapters.items()
    }


@cache  # sentences and figures ask for the same, of the same records
def _over_seeds(records: tuple[Record, ...], method: str) -> pd.DataFrame:
    """A row per seed, scale and mark."""
    return pd.concat([over_scales(record, method) for record in records], ignore_index=True)


def _mean(table: pd.DataFrame) -> pd.DataFrame:
    """Over those seeds that have a mark at a scale."""
    return table.groupby(["c", "mark"], sort=False, as_index=False)[["beta", "lost"]].mean()


def _moved(tables: Mapping[str, Mapping[str, pd.DataFrame]]) -> str:
    """The one sentence to quote, of the mark that moves most."""
    text = (
        "**The threshold is a matter of units.** Multiply all pruned activations of a ReLU network "
        "by $c$ and undo it in the next layer: the network predicts the same, its accuracy at "
        "every sparsity is the same, and $F$ is another. "
    )
    found = []
    for name, both in tables.items():
        ends = spread(_mean(both["renormalized"]), TOP)
        if ends is not None:
            least, most = ends
            found.append((most["beta"] - least["beta"], name, least, most))
    if not found:
        return text.strip()
    _, name, least, most = max(found, key=lambda one: one[0])
    moved = sum(one[0] >= 0.2 for one in found)
    return text + (
        f"Between $c = {fraction(FACTORS[0])}$ and {FACTORS[-1]:g}, the highest point of the "
        f"renormalized F of {chapter_title(name)} moves from sparsity {most['beta']:.2f} "
        f"({points(most['lost'])} points lost, $c = {fraction(most['c'])}$) to "
        f"{least['beta']:.2f} ({points(least['lost'])} points, $c = {fraction(least['c'])}$), in "
        "the mean over its seeds; in "
        f"{moved} of {counted(len(found), 'chapter')} it moves by 0.2 in sparsity or more. "
        "The same predictions at the same sparsities go with any of these thresholds: $\\tau^*$ is "
        "no property of what the network computes."
    )


def _measured(chapters: Chapters, scales: Mapping[tuple[str, int], Scale]) -> str:
    """What rescaled networks did when they were evaluated."""
    run: list[str] = []
    missing: list[str] = []
    for name, records in chapters.items():
        scale = scales.get((name, int(records[0].result["seed"])))
        (missing if scale is None or not scale.factors else run).append(name)
    text = ""
    if run:
        every = [scales[name, int(chapters[name][0].result["seed"])] for name in run]
        same = sum(_same(scale) for scale in every)
        factors = sorted({c for scale in every for c in scale.factors if c != 1})
        off = max(float(scale.facts["off"]) for scale in every)
        equal = "to the last bit" if off == 0 else f"to {off:.0e} of the largest"
        text = (
            f"Evaluated with $c = {', '.join(map(fraction, factors))}$, at thresholds $c$ times "
            f"those of the network itself, on up to "
            f"{max(scale.facts['examples'] for scale in every):,} test examples: "
            f"{chapter_titles(run)}. "
            f"Activations over $c$ and scores are those of the network {equal}, and in {same} of "
            f"{counted(len(run), 'chapter')} the rescaled networks keep exactly as many "
            "activations and lose exactly as much accuracy at every threshold, so that the "
            "identity is a measurement. "
        )
    if missing:
        text += (
            f"Not yet run for {chapter_titles(missing)} (`{_command(chapters[missing[0]][0])}`); "
            "their rows below follow from their records by the identity."
        )
    return text.strip()


def _same(scale: Scale) -> bool:
    """Whether counts and accuracies of all rescaled networks equal the network's own."""
    for method in CURVES:
        columns = ["active", *(["accuracy"] if method == "full" else [])]
        own = scale.curve(RESCALED, method)[columns]
        for c in scale.factors:
            if not scale.curve(RESCALED, method, c)[columns].equals(own):
                return False
    return True


def _table(tables: Mapping[str, Mapping[str, pd.DataFrame]]) -> str:
    rows = []
    for name, both in tables.items():
        for method, mark in (("full", FEATURE), ("renormalized", FEATURE), ("renormalized", TOP)):
            table = both[method]
            there = table[table["mark"] == mark].dropna(subset="beta")
            cells = [_sparsity_and_loss(there[there["c"] == c]) for c in SHOWN]
            if any(cell != NOTHING for cell in cells):
                short = METHODS[method].short
                rows.append([chapter_title(name), f"{short}, {mark}", *cells])
    header = ["chapter", "mark", *(f"c = {fraction(c)}" for c in SHOWN)]
    return (
        "Sparsity at the mark and the points of accuracy lost there, for the same networks at "
        "several scales, over those seeds that have the mark ({numref}`fig-scale` draws some of "
        "it):\n\n"
        f"{wide(header, rows)}"
    )


def _sparsity_and_loss(there: pd.DataFrame) -> str:
    """Such as ``0.30 ± 0.01 (3), 0.2 ± 0.1 lost``."""
    if there.empty:
        return NOTHING
    lost = mean_sd(list(100 * there["lost"]), digits=1).partition(" (")[0]
    return f"{mean_sd(list(there['beta']), digits=2)}, {lost} lost"


def _cannot(chapters: Chapters) -> str:
    """Networks that cannot be rescaled, each with its reason."""
    reasons: dict[str, list[str]] = {}
    for name in chapters:
        why = obstacle(chapter(*name.split("-")).model)
        if why is not None:
            reasons.setdefault(why, []).append(name)
    if not reasons:
        return ""
    listed = "; ".join(f"{chapter_titles(names)} ({why})" for why, names in reasons.items())
    return (
        "Not positively homogeneous, so not to be rescaled without changing what they compute: "
        f"{listed}."
    )


def _free(chapters: Chapters, scales: Mapping[tuple[str, int], Scale]) -> list[str]:
    """Whether free energies without units say more about the accuracy."""
    paper = runs(chapters)
    layers = layer_runs(chapters, scales)
    kinds = {"one mean for all": scale_free_runs(chapters), "each layer its mean": layers}
    found = {units: judged(given, paper) for units, given in kinds.items()}
    parts = [
        "**A free energy without units.** With $T = \\mu/\\tau$, where $\\mu$ is the mean absolute "
        "activation, no rescaling changes $F$; nor does a rescaling of single layers, if each "
        "layer is pruned and measured in units of its own mean. Both are judged like the paper's, "
        f"by the same target ({DEFAULT.name}) and the same code."
    ]
    parts += [_verdict(units, marks) for units, marks in found.items() if marks]
    there = {run.chapter for run in layers}
    missing = [name for name in chapters if name not in there]
    if missing:
        parts.append(
            f"Layer by layer not yet run for {chapter_titles(missing)} "
            f"(`{_command(chapters[missing[0]][0])}`)."
        )
    rows = [
        [
            units,
            NAMES[predictor],
            str(one.chapters),
            f"{factor(one.median)} ({factor(one.median_paper)})",
            f"{one.near} ({one.near_paper})",
            f"{one.unsafe} ({one.unsafe_paper})",
            f"{one.comparison.wins} : {one.comparison.losses}",
            f"{one.comparison.p:.2g}",
        ]
        for units, marks in found.items()
        for predictor, one in marks.items()
    ]
    if rows:
        header = [
            "units", "mark", "chapters", "median factor off", f"within {2**NEAR:.1f}", "unsafe",
            "nearer : farther", "p",
        ]  # fmt: skip
        parts.append(
            "In brackets the paper's $T = 1/\\tau$ on the same chapters; *unsafe*: chapters in "
            "which pruning at the mark costs more than the target; *nearer*: chapters in which the "
            "mark without units is nearer to where the accuracy gives way.\n\n"
            f"{wide(header, rows)}"
        )
    return parts


def _verdict(units: str, found: Mapping[str, Judged]) -> str:
    sentences = []
    for predictor in THEORY:
        one = found[predictor]
        c = one.comparison
        if c.p >= LEVEL:
            outcome = "says neither more nor less about the accuracy, as far as can be told"
        elif c.wins > c.losses:
            outcome = "says more about the accuracy"
        else:
            outcome = "says less about the accuracy"
        sentences.append(
            f"{NAMES[predictor]}, in units of {UNITS[units]}, {outcome}: median factor "
            f"{factor(one.median)} where the paper's is off by {factor(one.median_paper)}, near in "
            f"{one.near} of {counted(one.chapters, 'chapter')} and the paper's in "
            f"{one.near_paper}; it is nearer in {c.wins} and farther off in {c.losses} "
            f"(p = {c.p:.2g})."
        )
    return " ".join(sentences)


UNITS: Final = {
    "one mean for all": "the mean of all activations",
    "each layer its mean": "the mean of each layer",
}
