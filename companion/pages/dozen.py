"""How many runs a dozen passes would have told the same, as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from companion.pages.tables import counted, wide
from companion.paper.dozen import Agreement, agreement
from companion.runs.records import Record
from thermo_utils.guided import PASSES

__all__ = ["dozen_text"]

#: What is to agree, by the head of its column.
ASKED: Mapping[str, Callable[[Agreement], bool]] = {
    "τ*": lambda a: a.tau_star,
    "accuracy threshold": lambda a: a.accuracy,
    "both": lambda a: a.tau_star and a.accuracy,
}


def dozen_text(chapters: Mapping[str, Sequence[Record]], others: Sequence[Record] = ()) -> str:
    """A table of how often few thresholds give what the whole grid does.

    Parameters
    ----------
    chapters : mapping of str to sequence of Record
        The records of every chapter, by its name.
    others : sequence of Record, optional
        Those of other settings.

    Returns
    -------
    str
        Markdown. Runs whose renormalized curve lacks thresholds of the full evaluation are left
        out.
    """
    guided, even = (
        [_told(records, even) for records in (*chapters.values(), others)] for even in (False, True)
    )
    flat = [each for group in guided for each in group]
    if not flat:
        return "Nothing was run.\n"
    rows = []
    for words, (*found, other) in (("guided", guided), ("evenly spaced", even)):
        kinds = {
            "chapters": [group for group in found if group],
            "their runs": [[each] for group in found for each in group],
            "runs with other settings": [[each] for each in other],
        }
        for kind, groups in kinds.items():
            agreeing = [sum(all(map(asked, g)) for g in groups) for asked in ASKED.values()]
            cells = [f"{number} of {len(groups)}" for number in agreeing]
            rows += [[words, kind, *cells]] if groups else []
    sizes, passes = [each.thresholds + 1 for each in flat], [each.passes for each in flat]
    return (
        wide(["thresholds", "of", *ASKED], rows)
        + f"\n\nWhole evaluations of these {counted(len(flat), 'run')} took {min(sizes)} to "
        f"{max(sizes)} passes, guided ones would take {min(passes)} to {max(passes)}, of {PASSES} "
        "allowed. A chapter counts when all its runs agree.\n"
    )


def _told(records: Sequence[Record], even: bool) -> list[Agreement]:
    found = (agreement(record, even=even) for record in records)
    return [each for each in found if each is not None]
