"""The page on speed: what ``python -m benchmarks`` measured, as tables and figures.

A file per chapter in ``<results>/<profile>/benchmarks`` holds the raw seconds of every method in
every round. Ratios are formed within a round, where a busy machine meets both sides, and the median
over the rounds is shown.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from companion.data.specs import DATASETS
from companion.pages.tables import markdown
from companion.paper.published import as_range, lookup
from companion.runs.chapters import CHAPTERS, TITLES, Chapter
from thermo_utils.errors import ThermoError
from thermo_utils.figures import ACCURACY, FULL, RENORMALIZED, STYLE

__all__ = ["Target", "growth_figure", "ratios", "read_speed", "speed_page"]

#: Folder beside the records of a profile, version of its files, name of the file on growth.
FOLDER, FORMAT, GROWTH = "benchmarks", 1, "growth"
#: What is timed: how it is printed, and its colour.
METHODS: Mapping[str, tuple[str, str]] = {
    "plain": ("unpruned pass", ACCURACY),
    "renormalized": ("RFE, one pass", RENORMALIZED),
    "stored": ("RFE as in the paper: stored, swept", "#e69f00"),
    "full": ("FE, a pass per threshold", FULL),
    "sampled": ("RFE, sampled", "#009e73"),
}
MEGABYTE = 1e6
#: Extra memory within this bound counts as none to speak of.
MEMORY_BOUND = 64.0
COMMAND = "python -m benchmarks"


class Target(NamedTuple):
    """A goal for every chapter.

    Attributes
    ----------
    words : str
        What is to hold, with ``{K}`` for the number of thresholds.
    met : callable
        From a row of :func:`ratios` to whether it does.
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
        lambda r: f"{r['sample_tau']} against {r['exact_tau']}",
        "a tenth of the test set does not settle where a flat peak is highest, or which of two "
        "features comes first",
    ),
    Target(
        f"exact RFE needs less than {MEMORY_BOUND:g} MB beyond the unpruned pass",
        lambda r: r["rfe_mb"] is None or r["rfe_mb"] < MEMORY_BOUND,
        lambda r: "not measured" if r["rfe_mb"] is None else f"{r['rfe_mb']:.0f} MB",
        "the layouts of memory differ from run to run",
    ),
)


def read_speed(folder: Path) -> dict[str, dict[str, Any]]:
    """Measurements by name.

    Parameters
    ----------
    folder : Path
        ``<results>/<profile>/benchmarks``; it need not exist.

    Returns
    -------
    dict
        Contents of the files by chapter name, and of the one on growth; in the order of the book.

    Raises
    ------
    ThermoError
        If a file is damaged or of another version.
    """
    found = {}
    for name in [*(chapter.name for chapter in CHAPTERS), GROWTH]:
        path = folder / f"{name}.json"
        if not path.exists():
            continue
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ThermoError(f"{path} is damaged: delete it and run {COMMAND}") from error
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise ThermoError(f"{path} is not of format {FORMAT}: delete it and run {COMMAND}")
        found[name] = content
    return found


def ratios(measured: Mapping[str, Any]) -> dict[str, Any]:
    """Ratios of one chapter, each the median over the rounds.

    Parameters
    ----------
    measured : mapping
        Content of a chapter's file.

    Returns
    -------
    dict
        ``rfe_per_pass``, ``stored_per_pass`` and ``fe_per_pass`` (a single threshold) in units of
        the unpruned pass; ``fe_over_rfe``, ``stored_over_rfe`` and ``fe_over_sampled`` (whole test
        set) for ``thresholds`` thresholds; ``sampled_of_pass``, the sampled method in units of a
        pass over the whole test set; ``ns_per_activation`` of the unpruned pass; ``rfe_mb`` and
        ``stored_mb`` beyond it, or None; and what the sample found.
    """
    seconds = measured["seconds"]
    rounds = [
        dict(zip(seconds, values, strict=True)) for values in zip(*seconds.values(), strict=True)
    ]
    count, swept = measured["options"]["thresholds"], measured["swept"]
    scale = measured["test_examples"] / measured["examples"]
    for r in rounds:
        r["threshold"] = r["full"] / (swept + 1)  # the unpruned pass of the sweep included
        r["sweep"] = (count + 1) * r["threshold"]

    def over(above: str, below: str, factor: float = 1.0) -> float:
        return factor * median(r[above] / r[below] for r in rounds)

    peak, sample = measured["peak_bytes"], measured["sample"]
    found, exact = sample["tau"], sample["exact_tau"]
    agrees = found == exact
    if found is not None and exact is not None:
        agrees = abs(found - exact) <= sample["step"] * (1 + 1e-9)
    activations = measured["activations_per_example"] * measured["examples"]

    def extra(name: str) -> float | None:
        if peak[name] is None or peak["plain"] is None:
            return None
        return float(max(0, peak[name] - peak["plain"]) / MEGABYTE)

    return {
        "thresholds": count,
        "examples": measured["examples"],
        "test_examples": measured["test_examples"],
        "rfe_per_pass": over("renormalized", "plain"),
        "fe_per_pass": over("threshold", "plain"),
        "stored_per_pass": over("stored", "plain"),
        "fe_over_rfe": over("sweep", "renormalized"),
        "stored_over_rfe": over("stored", "renormalized"),
        "fe_over_sampled": over("sweep", "sampled", scale),
        "sampled_of_pass": over("sampled", "plain", 1 / scale),
        "ns_per_activation": 1e9 * median(seconds["plain"]) / activations,
        "rfe_mb": extra("renormalized"),
        "stored_mb": extra("stored"),
        "sample_agrees": agrees,
        "sample_tau": found,
        "exact_tau": exact,
        "sample_share": sample["examples"] / measured["test_examples"],
        "confidence": sample["confidence"],
    }


def speed_page(folder: Path) -> str:
    """What was measured, as Markdown: targets, table, machine.

    Parameters
    ----------
    folder : Path
        As for :func:`read_speed`.

    Returns
    -------
    str
        A sentence on how to measure when nothing was.
    """
    files = read_speed(folder)
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
    return markdown(["target", "met by", "missed by"], lines) + "\n"


def _times(rows: Mapping[Chapter, Mapping[str, Any]]) -> str:
    lines = [
        [
            _name(chapter),
            f"{r['rfe_per_pass']:.2f}",
            f"{r['fe_per_pass']:.2f}",
            f"{r['stored_per_pass']:.1f}",
            f"{r['fe_over_rfe']:.1f}",
            f"{r['fe_over_sampled']:.0f}",
            _paper(chapter),
            f"{r['ns_per_activation']:.1f}",
        ]
        for chapter, r in rows.items()
    ]
    header = [
        "chapter", "RFE / pass", "FE threshold / pass", "stored RFE / pass", "FE / RFE",
        "FE / sampled RFE", "paper: FE / RFE", "pass, ns per activation",
    ]  # fmt: skip
    return markdown(header, lines) + "\n"


def _samples(rows: Mapping[Chapter, Mapping[str, Any]]) -> str:
    def megabytes(value: float | None) -> str:
        return "not measured" if value is None else f"{value:.0f}"

    def tau(value: float | None) -> str:
        return "none" if value is None else f"{value:.3g}"

    lines = [
        [
            _name(chapter),
            megabytes(r["rfe_mb"]),
            f"{megabytes(r['stored_mb'])} ({r['examples']:,} examples)",
            f"{100 * r['sample_share']:.1f} %",
            f"{r['sampled_of_pass']:.3f}",
            tau(r["sample_tau"]),
            tau(r["exact_tau"]),
            "" if r["confidence"] is None else f"{100 * r['confidence']:.0f} %",
        ]
        for chapter, r in rows.items()
    ]
    header = [
        "chapter", "RFE, extra MB", "stored RFE, extra MB", "sample", "sampled RFE / pass",
        "its &tau;*", "exact &tau;*", "confidence",
    ]  # fmt: skip
    return markdown(header, lines) + "\n"


def _machine(files: Mapping[str, Mapping[str, Any]]) -> str:
    made = [content["provenance"] for content in files.values()]
    devices = list(dict.fromkeys(f"{m['device']}" for m in made))
    commits = list(dict.fromkeys((m["git_commit"] or "no checkout")[:10] for m in made))
    packages = made[0]["packages"]
    versions = ", ".join(f"{p} {packages[p]}" for p in ("torch", "numba", "numpy") if packages[p])
    options = next(iter(files.values()))["options"]
    return (
        f"{'; '.join(devices)}. Python {made[0]['python']}, {versions}; commit "
        f"{', '.join(commits)}. {options['repetitions']} interleaved rounds.\n"
    )


def _name(chapter: Chapter) -> str:
    title = f"{TITLES[chapter.model]}, {DATASETS[chapter.dataset].title}"
    return f"[{title}](chapters/{chapter.name})"


def _paper(chapter: Chapter) -> str:
    """The ratio of the times in the paper's Tables 2 and 4; below one, RFE is the slower."""
    times = {
        method: lookup(chapter.model, chapter.dataset, "time_s", method)["low"].dropna()
        for method in ("full", "renormalized")
    }
    if any(found.empty for found in times.values()):
        return "not stated"
    value = float(times["full"].iloc[0]) / float(times["renormalized"].iloc[0])
    return as_range(round(value, 2), round(value, 2))


def growth_figure(measured: Mapping[str, Any]) -> Figure:
    """How the cost grows with the number of thresholds and of examples.

    Parameters
    ----------
    measured : mapping
        Content of the file on growth.

    Returns
    -------
    Figure
        Two panels, both axes logarithmic; medians over the rounds.
    """
    by_count, by_size = measured["by_thresholds"], measured["by_examples"]
    with plt.rc_context(STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(9.0, 3.4), layout="constrained")
        for axis, chosen, x in ((left, by_count, "thresholds"), (right, by_size, "examples")):
            for method in chosen[0]["seconds"]:
                label, color = METHODS[method]
                y = [median(row["seconds"][method]) for row in chosen]
                axis.loglog([row[x] for row in chosen], y, ".-", color=color, label=label)
        left.set(
            xlabel="thresholds K", ylabel="seconds", title=f"{by_count[0]['examples']:,} examples"
        )
        right.set(
            xlabel="test examples",
            ylabel="seconds",
            title=f"K = {by_size[0]['thresholds']}, FE with {measured['swept']}",
        )
        handles, labels = left.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
        plt.close(figure)
    return figure
