"""What counting costs as users run it, as ``python -m benchmarks.threads`` measured it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from companion.networks import NETWORKS
from companion.pages.escape import in_markdown
from companion.pages.rounds import are_seconds, busy, demanding, ratio, ratios
from companion.pages.shown import percent
from companion.pages.speed import paper_ratio
from companion.pages.survives import read_facts
from companion.pages.tables import counted, wide
from companion.runs.chapters import CHAPTERS

__all__ = ["FILE", "FORMAT", "check", "read_threads", "threads_text"]

#: Among the results; ``python -m benchmarks.threads`` writes it.
FILE, FORMAT = "threads.json", 2
COMMAND = "python -m benchmarks.threads"
TASKS = ("plain", "summed", "renormalized", "full", "whole", "reused")


def read_threads(path: Path) -> dict[str, Any] | None:
    """What was measured, None where there is no such file.

    Raises
    ------
    ThermoError
        If it is damaged, or of another format.
    """
    facts = read_facts(path)
    if facts is not None:
        check(facts, path)
    return facts


def check(facts: Mapping[str, Any], path: Path) -> None:
    """Hold a record against what one must be.

    Raises
    ------
    ThermoError
        Naming what is wrong first.
    """
    demand = demanding(path, f"{COMMAND} --force")
    demand(facts.get("format") == FORMAT, f"its format is not {FORMAT}")
    demand(isinstance(facts.get("date"), str), "date is no text")
    made = facts.get("provenance")
    demand(isinstance(made, dict) and isinstance(made.get("device"), str), "no device is named")
    for name in ("thresholds", "passes"):
        demand(type(facts.get(name)) is int and facts[name] > 1, f"{name} is no number above 1")
    demand(isinstance(facts.get("load"), float | int), "load is no number")
    numbers = facts.get("threads")
    demand(
        isinstance(numbers, list) and len(numbers) == 2 and numbers[0] == 1 < numbers[1],
        "threads are not one and more",
    )
    cases = facts.get("cases")
    demand(isinstance(cases, dict) and cases, "cases is no object, or empty")
    for name, case in (cases or {}).items():
        seconds = case.get("seconds") if isinstance(case, dict) else None
        before = case.get("before") if isinstance(case, dict) else None
        shares = (
            isinstance(before, list)
            and before
            and all(isinstance(share, float) and 0 <= share <= 1 for share in before)
        )
        demand(shares, f"{name} has no shares before the first pruned activation")
        demand(_are_kept(case.get("kept")), f"{name} does not say what is kept of a pass")
        demand(isinstance(seconds, dict), f"{name} has no seconds")
        known = set(seconds or ()) == set(map(str, numbers or ()))
        demand(known, f"{name} has other numbers of threads")
        lengths = set()
        for each in (seconds or {}).values():
            demand(isinstance(each, dict) and set(each) == set(TASKS), f"{name} has other tasks")
            for values in each.values():
                demand(are_seconds(values), f"{name} has seconds that are no positive numbers")
                lengths.add(len(values))
        demand(len(lengths) == 1 and min(lengths) > 1, f"{name} has not the same rounds")


def _are_kept(kept: object) -> bool:
    if not isinstance(kept, dict) or set(kept) != {"share", "bytes", "why_not"}:
        return False
    share, count, why_not = kept["share"], kept["bytes"], kept["why_not"]
    numbers = type(share) in (int, float) and 0 <= share <= 1 and type(count) is int and count >= 0
    return numbers and (why_not is None or isinstance(why_not, str))


def threads_text(facts: Mapping[str, Any] | None) -> str:
    """Three tables: the chapters beside the paper, other networks, and what is reused.

    Parameters
    ----------
    facts : mapping or None
        Of :func:`read_threads`.

    Returns
    -------
    str
        Markdown.
    """
    if facts is None:
        return f"Not measured: `{COMMAND}` does it.\n"
    cases = facts["cases"]
    chapters = {c.name: c for c in CHAPTERS}
    one, most = map(str, facts["threads"])
    head = [
        "plain pass, ms", "hook that sums",
        f"RFE, {counted(1, 'thread')}", f"RFE, {counted(int(most), 'thread')}",
    ]  # fmt: skip
    rows, others, again = [], [], []
    for name, case in cases.items():
        cells = _cells(case, one, most)
        title = in_markdown(_title(name))
        if name in chapters:
            chapter = chapters[name]
            title = link = f"[{chapter.title.replace(' on ', ', ')}](chapters/{name})"
            each = case["seconds"][most]
            sweep = [(facts["thresholds"] + 1) * v / facts["passes"] for v in each["full"]]
            beside = ratio(sweep, each["renormalized"], 1)
            rows.append([link, *cells, beside, paper_ratio(chapter)])
        else:
            others.append([title, *cells])
        again.append([title, *_again(case, most)])

    def dearest(number: str) -> str:
        costs = [
            (median(ratios(c["seconds"][number]["renormalized"], c["seconds"][number]["plain"])), n)
            for n, c in cases.items()
        ]
        cost, name = max(costs)
        return f"{cost:.2f} ({in_markdown(_title(name))})"

    said = (
        f"With {counted(int(most), 'thread')}, which is torch's default there, exact RFE costs at "
        f"most {dearest(most)} plain passes; with one, {dearest(one)}."
    )
    parts = [
        said,
        wide([*["network, data"], *head, f"FE / RFE, K = {facts['thresholds']}", "the paper's"],
             rows),
        "Networks that are none of the book's, with images of 64 × 64 or texts of 128 words:",
        wide(["network", *head], others),
        "A threshold more, where what comes before the first pruned activation is not computed "
        f"again ({counted(int(most), 'thread')}):",
        wide(
            ["network, data", "before the first pruned", "reused / whole", "kept, KiB per example"],
            again,
        ),
        _machine(facts),
    ]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def _title(name: str) -> str:
    """Of a chapter, or of another network, whose name is followed by its layout."""
    model, *layout = name.split(", ")
    known = {**{c.name: c.title for c in CHAPTERS}, **{n.name: n.title for n in NETWORKS.values()}}
    return ", ".join([known.get(model, model), *layout])


def _cells(case: Mapping[str, Any], one: str, most: str) -> list[str]:
    seconds = case["seconds"]
    plain = seconds[most]["plain"]
    return [
        f"{1e3 * median(plain):,.0f}",
        ratio(seconds[most]["summed"], plain),
        ratio(seconds[one]["renormalized"], seconds[one]["plain"]),
        ratio(seconds[most]["renormalized"], plain),
    ]


def _again(case: Mapping[str, Any], most: str) -> list[str]:
    seconds, kept = case["seconds"][most], case["kept"]
    share = percent(median(case["before"]))
    if kept["why_not"] is not None or not kept["share"]:
        return [share, "computed as a whole", in_markdown(kept["why_not"] or "does not fit")]
    each = kept["bytes"] / 1024 / (case["examples"] * kept["share"])
    return [share, ratio(seconds["reused"], seconds["whole"]), f"{each:,.0f}"]


def _machine(facts: Mapping[str, Any]) -> str:
    rounds = len(next(iter(next(iter(facts["cases"].values()))["seconds"].values()))["plain"])
    made = facts["provenance"]
    commit = (made.get("git_commit") or "unknown")[:10]
    return (
        f"Medians of {counted(rounds, 'round')}, in parentheses the quartiles of the ratios, which "
        f"are formed within a round. {in_markdown(made['device'].partition(',')[0])}, measured on "
        f"{in_markdown(facts['date'])}, commit {in_markdown(commit)}.{busy(facts)}"
    )
