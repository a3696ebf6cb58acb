"""The page on speed: what was measured beside the targets and the paper, as tables and a figure.

:mod:`companion.pages.speed_files` reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import median
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from companion.data.specs import DATASETS
from companion.networks import NETWORKS
from companion.pages.escape import in_markdown
from companion.pages.speed_files import COMMAND, ratios
from companion.pages.tables import NOT_STATED, wide
from companion.paper.published import as_range, lookup
from companion.runs.chapters import CHAPTERS, Chapter
from companion.runs.methods import CURVES, METHODS
from thermo_utils.figures import ACCURACY, FULL, RENORMALIZED, STYLE
from thermo_utils.looks import LOOKS
from thermo_utils.panel_layout import PHONE

__all__ = [
    "PROCEDURES", "TARGETS", "Target", "growth_figure", "growth_text", "paper_ratio", "speed_page",
]  # fmt: skip

_FE, _RFE = METHODS["full"].short, METHODS["renormalized"].short
#: What is timed: how it is printed, and its colour.
PROCEDURES: Mapping[str, tuple[str, str]] = {
    "plain": ("unpruned pass", ACCURACY),
    "renormalized": (f"{_RFE}, one pass", RENORMALIZED),
    "stored": (f"{_RFE} as in the paper: stored, swept", "#a8650a"),
    "full": (f"{_FE}, a pass per threshold", FULL),
    "sampled": (f"{_RFE}, sampled", "#009e73"),
}
#: In the order of looks: full evaluation and renormalized curve have theirs in every figure.
LOOKED = ("full", "renormalized", "stored", "plain", "sampled")
#: What stands where a machine does not tell its memory.
NOT_MEASURED = "not measured"
#: Extra memory within this bound counts as none to speak of.
MEMORY_BOUND = 64.0


def _tau(value: float | None) -> str:
    return "none" if value is None else f"{value:.3g}"


class Target(NamedTuple):
    """A goal for every chapter.

    Attributes
    ----------
    words : str
        What is to hold, with ``{K}`` for the number of thresholds.
    met : callable
        From a row of :func:`companion.pages.speed_files.ratios` to whether it does.
    shown : callable
        From the same row to the number that decides, as text.
    why : str
        Why it is missed where it is.
    """

    words: str
    met: Callable[[Mapping[str, Any]], bool]
    shown: Callable[[Mapping[str, Any]], str]
    why: str


_COUNTING = (
    "counting costs about the same for every activation, so it weighs most where a network "
    "computes little per activation (last column of the table below)"
)
TARGETS = (
    Target(
        "exact RFE costs at most 1.3 times the unpruned pass",
        lambda r: r["rfe_per_pass"] <= 1.3,
        lambda r: f"{r['rfe_per_pass']:.2f}",
        _COUNTING,
    ),
    Target(
        "a threshold of FE costs at most 1.3 times the unpruned pass",
        lambda r: r["fe_per_pass"] <= 1.3,
        lambda r: f"{r['fe_per_pass']:.2f}",
        f"{_COUNTING}, and pruning also writes every activation",
    ),
    Target(
        "exact RFE is faster than FE",
        lambda r: r["fe_over_rfe"] > 1,
        lambda r: f"{r['fe_over_rfe']:.1f}",
        "it should always be: a pass for all thresholds against a pass for each",
    ),
    Target(
        "exact RFE is at least 0.7 K times faster than FE with K = {K} thresholds",
        lambda r: r["fe_over_rfe"] >= 0.7 * r["thresholds"],
        lambda r: f"{r['fe_over_rfe']:.1f}",
        "the overhead of counting over the bare pass is the whole difference",
    ),
    Target(
        "sampled RFE is at least 100 times faster than FE with K = {K} thresholds",
        lambda r: r["fe_over_sampled"] >= 100,
        lambda r: f"{r['fe_over_sampled']:.0f}",
        "a short test set leaves little to save, and the statistics have a cost of their own",
    ),
    Target(
        "the sample finds tau* of the whole test set to within a step of the sweep's grid",
        lambda r: bool(r["sample_agrees"]),
        lambda r: f"{_tau(r['sample_tau'])} against {_tau(r['exact_tau'])}",
        "a tenth of the test set does not settle where a flat peak is highest, or which of two "
        "features comes first",
    ),
    Target(
        f"exact RFE needs less than {MEMORY_BOUND:g} MB beyond the unpruned pass",
        lambda r: r["rfe_mb"] is None or r["rfe_mb"] < MEMORY_BOUND,
        lambda r: NOT_MEASURED if r["rfe_mb"] is None else f"{r['rfe_mb']:.0f} MB",
        "the layouts of memory differ from run to run",
    ),
)


def speed_page(files: Mapping[str, Mapping[str, Any]]) -> str:
    """What was measured, as Markdown: targets, table, machine.

    Parameters
    ----------
    files : mapping of str to mapping
        As returned by :func:`companion.pages.speed_files.read_speed`.

    Returns
    -------
    str
        A sentence on how to measure when nothing was.
    """
    rows = {c: ratios(files[c.name]) for c in CHAPTERS if c.name in files}
    if not rows:
        return f"Nothing has been measured at this profile. `{COMMAND}` does.\n"
    count = next(iter(rows.values()))["thresholds"]
    absent = ", ".join(_name(c) for c in CHAPTERS if c not in rows)
    parts = ["## Targets\n", _targets(rows, count)]
    parts += [f"Not measured: {absent}.\n"] if absent else []
    parts += ["\n## Times\n", _times(rows)]
    parts += ["\n## Memory and sample\n", _samples(rows), "\n## Machine\n", _machine(files)]
    return "\n".join(parts)


def _targets(rows: Mapping[Chapter, Mapping[str, Any]], count: int) -> str:
    lines = []
    for target in TARGETS:
        missed = {c: r for c, r in rows.items() if not target.met(r)}
        names = ", ".join(f"{_name(c)} ({target.shown(r)})" for c, r in missed.items())
        lines.append(
            [
                target.words.format(K=count),
                f"{len(rows) - len(missed)} of {len(rows)}",
                f"{names}: {target.why}" if missed else "none",
            ]
        )
    return wide(["target", "met by", "missed by"], lines) + "\n"


def _times(rows: Mapping[Chapter, Mapping[str, Any]]) -> str:
    lines = [
        [
            _name(chapter),
            f"{r['rfe_per_pass']:.2f}",
            f"{r['fe_per_pass']:.2f}",
            f"{r['stored_per_pass']:.1f}",
            f"{r['fe_over_rfe']:.1f}",
            f"{r['fe_over_sampled']:.0f}",
            paper_ratio(chapter),
            f"{r['ns_per_activation']:.1f}",
        ]
        for chapter, r in rows.items()
    ]
    header = [
        "chapter", "RFE / pass", "FE threshold / pass", "stored RFE / pass", "FE / RFE",
        "FE / sampled RFE", "paper: FE / RFE", "pass, ns per activation",
    ]  # fmt: skip
    return wide(header, lines) + "\n"


def _samples(rows: Mapping[Chapter, Mapping[str, Any]]) -> str:
    def megabytes(value: float | None) -> str:
        return NOT_MEASURED if value is None else f"{value:.0f}"

    lines = [
        [
            _name(chapter),
            megabytes(r["rfe_mb"]),
            f"{megabytes(r['stored_mb'])} ({r['examples']:,} examples)",
            f"{100 * r['sample_share']:.1f} %",
            f"{r['sampled_of_pass']:.3f}",
            _tau(r["sample_tau"]),
            _tau(r["exact_tau"]),
            "" if r["confidence"] is None else f"{100 * r['confidence']:.0f} %",
        ]
        for chapter, r in rows.items()
    ]
    header = [
        "chapter", "RFE, extra MB", "stored RFE, extra MB", "sample", "sampled RFE / pass",
        "its τ*", "exact τ*", "confidence",
    ]  # fmt: skip
    return wide(header, lines) + "\n"


def _machine(files: Mapping[str, Mapping[str, Any]]) -> str:
    made = [content["provenance"] for content in files.values()]
    devices = list(dict.fromkeys(in_markdown(m["device"]) for m in made))
    commits = list(
        dict.fromkeys(in_markdown((m["git_commit"] or "no checkout")[:10]) for m in made)
    )
    packages = {p: made[0]["packages"].get(p) for p in ("torch", "numba", "numpy")}
    versions = ", ".join(
        f"{p} {in_markdown(version)}" for p, version in packages.items() if version
    )
    options = next(iter(files.values()))["options"]
    return (
        f"{'; '.join(devices)}. Python {in_markdown(made[0]['python'])}, {versions}; commit "
        f"{', '.join(commits)}. {options['repetitions']} interleaved rounds.\n"
    )


def _name(chapter: Chapter) -> str:
    title = f"{NETWORKS[chapter.model].title}, {DATASETS[chapter.dataset].title}"
    return f"[{title}](chapters/{chapter.name})"


def paper_ratio(chapter: Chapter) -> str:
    """The ratio of the times in the paper's Tables 2 and 4; below one, RFE is the slower.

    Parameters
    ----------
    chapter : Chapter

    Returns
    -------
    str
    """
    times = {
        method: lookup(chapter.model, chapter.dataset, "time_s", method)["low"].dropna()
        for method in CURVES
    }
    if any(found.empty for found in times.values()):
        return NOT_STATED
    value = float(times["full"].iloc[0]) / float(times["renormalized"].iloc[0])
    return as_range(round(value, 2), round(value, 2))


def growth_figure(measured: Mapping[str, Any], *, narrow: bool = False) -> Figure:
    """How the cost grows with the number of thresholds and of examples.

    Parameters
    ----------
    measured : mapping
        Content of the file on growth.
    narrow : bool, default False
        Whether it is for a telephone.

    Returns
    -------
    Figure
        Two panels, both axes logarithmic; medians over the rounds.
    """
    by_count, by_size = measured["by_thresholds"], measured["by_examples"]
    with plt.rc_context(STYLE):
        figure, (left, right) = plt.subplots(
            *((2, 1) if narrow else (1, 2)), figsize=(PHONE, 6.4) if narrow else (9.0, 3.4),
            layout="constrained",
        )  # fmt: skip
        for axis, chosen, x in ((left, by_count, "thresholds"), (right, by_size, "examples")):
            for method in chosen[0]["seconds"]:
                label, color = PROCEDURES[method]
                # Marks and dashes too, for whoever sees no colours.
                look = LOOKS[LOOKED.index(method)]
                y = [median(row["seconds"][method]) for row in chosen]
                axis.loglog(
                    [row[x] for row in chosen], y, color=color, label=label, ls=look.line,
                    marker=look.marker, ms=4,
                )  # fmt: skip
            for of in (axis.xaxis, axis.yaxis):  # exponents would be too small to read
                of.set_major_locator(LogLocator(subs=(1, 2, 5)))
                of.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
                of.set_minor_locator(NullLocator())
        left.set(
            xlabel="thresholds K", ylabel="seconds", title=f"{by_count[0]['examples']:,} examples"
        )
        right.set(
            xlabel="test examples",
            ylabel="seconds",
            title=f"K = {by_size[0]['thresholds']}, FE with {measured['swept']}",
        )
        handles, labels = left.get_legend_handles_labels()
        columns = 2 if narrow else 4
        figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False)
        plt.close(figure)
    return figure


def growth_text(measured: Mapping[str, Any]) -> str:
    """The figure of :func:`growth_figure` as the page shows it.

    Parameters
    ----------
    measured : mapping
        Content of the file on growth.

    Returns
    -------
    str
        Markdown, with what is seen in the figure in words.
    """
    panels = []
    for chosen, x in (("by_thresholds", "thresholds"), ("by_examples", "examples")):
        first, last = measured[chosen][0], measured[chosen][-1]
        times = [
            f"{PROCEDURES[method][0]} {median(first['seconds'][method]):.2g} to "
            f"{median(last['seconds'][method]):.2g}"
            for method in first["seconds"]
        ]
        panels.append(f"from {first[x]:,} to {last[x]:,} {x}, {'; '.join(times)}")
    alt = (
        "Two panels of seconds on axes of magnitudes, a line for each procedure. On the left, "
        f"{panels[0]}. On the right, {panels[1]}."
    )
    return (
        f"```{{figure}} generated/static/growth.svg\n:name: fig-growth\n:alt: {alt}\n\n"
        "Seconds over thresholds and over test examples; medians over "
        f"{len(measured['by_thresholds'][0]['seconds']['plain'])} rounds.\n```\n"
    )
