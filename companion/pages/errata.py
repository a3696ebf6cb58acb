"""Where the paper contradicts itself as a page of the book, with what was measured beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any, Final

from companion.data.partitions import OFFICIAL, split_in_words
from companion.pages.escape import in_markdown
from companion.pages.seeds import mean_sd, thresholds, timed
from companion.paper.errata import KINDS, SMALL, errata
from companion.paper.published import lookup
from companion.runs.chapters import CHAPTERS, chapter_title
from companion.runs.methods import METHODS
from companion.runs.records import Record
from companion.runs.settings import ADDED

__all__ = ["errata_page"]

#: Splits that were tried, in the order shown; others that were run follow.
SPLITS: Final = (OFFICIAL, "swapped", "pooled-80-10-10")
#: Settings that do not matter to what a split comes to: how many of the test examples are looked
#: at, and the grid of thresholds.
ASIDE: Final = frozenset({"seed", "differs", "split", "test_size", "tau_step", "tau_max"})


def errata_page(records: Mapping[str, Sequence[Record]], others: Iterable[Record] = ()) -> str:
    """The contradictions as Markdown, with what was measured beside them.

    Parameters
    ----------
    records : mapping of str to sequence of Record
        By name of chapter, by seed; of one that is missing or empty, nothing is said.
    others : iterable of Record
        Runs with other settings, see :func:`companion.runs.records.other_runs`: those with another
        split of the data are shown beside the chapter's.

    Returns
    -------
    str
    """
    rows, others = errata(), list(others)
    main = rows[rows["kind"] != SMALL]
    parts, number = [], 0
    for kind, heading in KINDS.items():
        if kind == SMALL:
            continue
        parts.append(f"## {heading}")
        for row in main[main["kind"] == kind].to_dict("records"):
            number += 1
            parts.append(_entry(number, row, records, others))
    parts.append(f"There are also {KINDS[SMALL].lower()}, from which nothing follows.[^small]")
    slips = " ".join(_slip(row) for row in rows[rows["kind"] == SMALL].to_dict("records"))
    parts.append(f"[^small]: {slips}")
    return "\n\n".join(parts) + "\n"


def _entry(
    number: int,
    row: Mapping[Any, str],
    records: Mapping[str, Sequence[Record]],
    others: Sequence[Record],
) -> str:
    names = row["chapters"].split()
    titles = " · ".join(f"[{chapter_title(name)}](chapters/{name})" for name in names)
    lines = [
        f"**{number}. {row['title']}.** {titles}".rstrip(),
        "",
        f"- {_place(row['first_place'], row['first_quote'])}",
        f"- {_place(row['second_place'], row['second_quote'])}",
        "",
        f"{row['problem']} *Here:* {row['here']}",
    ]
    if row["measured"] == "split":
        variants = {name: [r for r in others if _chapter(r) == name] for name in names}
        found = {name: [*records.get(name, ()), *variants[name]] for name in names}
        return "\n".join([*lines, "", *(_by_split(name, found[name]) for name in names)])
    measured = [
        f"- *Measured here:* {chapter_title(name)}: {_measured(runs, row['measured'])}."
        for name in names
        if row["measured"] and (runs := records.get(name))
    ]
    if measured:
        lines += ["", *measured]
    return "\n".join(lines)


def _slip(row: Mapping[Any, str]) -> str:
    """A small slip in a line."""
    both = " against ".join(
        _place(row[f"{which}_place"], row[f"{which}_quote"]) for which in ("first", "second")
    )
    return f"*{row['title']}.* {both}. {row['problem']} *Here:* {row['here']}"


def _place(place: str, quote: str) -> str:
    verbatim = place.startswith(("Section", "Abstract"))
    return f"{place}: " + (f"“{quote}”" if verbatim else quote)


def _measured(runs: Sequence[Record], what: str) -> str:
    """Over all seeds, such as ``accuracy 0.76, β 0.65; FE 0.12 peak, β 0.13; RFE none found``."""
    if what == "times":
        return f"FE over RFE, in time: {in_markdown(timed(runs, 'speedup'))}"
    return "; ".join(f"{method.short} {thresholds(runs, name)}" for name, method in METHODS.items())


def _by_split(name: str, records: Sequence[Record]) -> str:
    """A line on the accuracy that each split of the data comes to, and which is the paper's."""
    (chapter,) = (c for c in CHAPTERS if c.name == name)
    own = [record for record in records if not record.result["synthetic"]]
    # The training is the chapter's; only the split may differ.
    own = [r for r in own if _training(r) == _training(own[0])]
    found: dict[str, list[float]] = {split: [] for split in SPLITS}
    for record in own:
        accuracy = float(record.result["metrics"]["test_accuracy"])
        found.setdefault(_settings(record)["split"], []).append(accuracy)
    stated = lookup(chapter.model, chapter.dataset, "accuracy")
    low, high = float(stated["low"].min()), float(stated["high"].max())
    shown = [f"{split_in_words(split)}, {_mean(values)}" for split, values in found.items()]
    text = f"*Measured here:* {chapter_title(name)}: {'; '.join(shown)}."
    known = {split: fmean(values) for split, values in found.items() if values}
    if len(known) > 1:
        off = {split: max(low - value, value - high, 0.0) for split, value in known.items()}
        nearest = min(off, key=lambda split: off[split])
        text += (
            f" Nearest to the paper's accuracy: the {split_in_words(nearest)}, "
            f"{100 * off[nearest]:.1f} points off."
        )
    return f"- {text}"


def _mean(values: Sequence[float]) -> str:
    if not values:
        return "not yet run"
    return mean_sd([100 * value for value in values], digits=1, unit=" %")


def _chapter(record: Record) -> str:
    return f"{record.result['model']}-{record.result['dataset']}"


def _settings(record: Record) -> dict[str, Any]:
    """Settings of a record; an older one lacks those that came later."""
    return {**ADDED, **record.result["settings"]}


def _training(record: Record) -> dict[str, Any]:
    return {key: value for key, value in _settings(record).items() if key not in ASIDE}
