"""How what the records of several seeds and chapters say becomes one answer to a claim.

With several seeds a number is their mean, as in the paper, and a word that of more than half of
them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import mean, stdev
from typing import Final, NamedTuple

from companion.paper.claims import Claim
from companion.paper.rules import Value, agrees

__all__ = ["LEAST_SEEDS", "WAYS", "Answer", "Runs"]

#: Fewer runs than this say nothing about seeds.
LEAST_SEEDS: Final = 3
#: At most this many chapters that do not agree are named.
MOST_NAMED: Final = 3


class Runs(NamedTuple):
    """What the records of a claim's chapters say, by chapter."""

    #: The measure of each seed.
    seeds: Mapping[str, Sequence[Value]]
    #: Whether the set-up differs from the paper's.
    differ: Mapping[str, bool]
    #: Distance of neighbouring thresholds.
    steps: Mapping[str, float]

    @property
    def values(self) -> dict[str, Value]:
        """One value for all seeds of a chapter."""
        return {name: _combined(found) for name, found in self.seeds.items()}

    @property
    def excused(self) -> bool:
        return any(self.differ.values())


class Answer(NamedTuple):
    """What the records say about a claim."""

    ours: str
    agreed: bool | None
    excused: bool
    places: tuple[str, ...] = ()


def _compared(claim: Claim, value: Value, ours: str, *, excused: bool, step: float = 0.0) -> Answer:
    """Compare one value with every version of the paper's."""
    good = tuple(v.place for v in claim.stated if agrees(claim.rule, value, v, step))
    return Answer(ours, bool(good), excused, good)


def _one(claim: Claim, runs: Runs) -> Answer:
    """The value of one chapter."""
    (name,) = claim.chapters
    ours = _listed(runs.seeds[name])
    step = runs.steps[name]
    return _compared(claim, runs.values[name], ours, excused=runs.excused, step=step)


def _over_seeds(claim: Claim, runs: Runs) -> Answer:
    """Standard deviation over the seeds of one chapter, as a share of their mean."""
    values = runs.seeds[claim.chapters[0]]
    if len(values) < LEAST_SEEDS:
        seeds = "seed" if len(values) == 1 else "seeds"
        ours = f"{len(values)} {seeds} run, {LEAST_SEEDS} needed"
        return Answer(ours, None, runs.excused)
    known = [value for value in values if isinstance(value, float)]
    if len(known) < len(values) or mean(known) == 0:
        return _compared(claim, None, _listed(values), excused=runs.excused)
    spread = stdev(known) / mean(known)
    ours = f"{_shown(spread)} ({', '.join(map(_shown, known))})"
    return _compared(claim, spread, ours, excused=runs.excused)


def _counted(enough: Callable[[int, int], bool], claim: Claim, runs: Runs) -> Answer:
    """Whether enough chapters agree, and whether those with another set-up decide it."""
    values = runs.values
    good = {
        name: any(agrees(claim.rule, value, v, runs.steps[name]) for v in claim.stated)
        for name, value in values.items()
    }
    failed = [name for name, agreed in good.items() if not agreed]
    ours = f"{len(good) - len(failed)} of {len(good)} chapters"
    if 0 < len(failed) <= MOST_NAMED:
        ours += f", not {' or '.join(f'{name} ({_shown(values[name])})' for name in failed)}"
    agreed = enough(sum(good.values()), len(good))
    excused = enough(sum(good[name] or runs.differ[name] for name in good), len(good))
    places = tuple(version.place for version in claim.stated) if agreed else ()
    return Answer(ours, agreed, excused, places)


def _difference(claim: Claim, runs: Runs) -> Answer:
    """Mean of the first group less that of the second, over chapters that have the measure."""
    values = runs.values
    groups = [
        [value for name in group if isinstance(value := values[name], float)]
        for group in claim.groups
    ]
    if not all(groups):
        return _compared(claim, None, "nothing to compare", excused=runs.excused)
    first, second = (mean(group) for group in groups)
    ours = f"{_shown(first)} less {_shown(second)}"
    missing = len(values) - sum(map(len, groups))
    if missing:
        ours += f" ({missing} of {len(values)} chapters without)"
    return _compared(claim, first - second, ours, excused=runs.excused)


def _extreme(of: Callable[[Sequence[float]], float], claim: Claim, runs: Runs) -> Answer:
    """One number from those of all chapters."""
    values = runs.values.values()
    known = [value for value in values if isinstance(value, float)]
    ours = ", ".join(map(_shown, values))
    if len(known) < len(values):
        return _compared(claim, None, ours, excused=runs.excused)
    return _compared(claim, of(known), f"{_shown(of(known))} ({ours})", excused=runs.excused)


def _alike(claim: Claim, runs: Runs) -> Answer:
    """Whether all chapters give the same value."""
    values = runs.values.values()
    word = None if None in values else "the same" if len(set(values)) == 1 else "differs"
    return _compared(claim, word, ", ".join(map(_shown, values)), excused=runs.excused)


def _range(values: Sequence[float]) -> float:
    return max(values) - min(values)


#: How the chapters of a claim are combined: a function for each of
#: :data:`companion.paper.claims.OVER`.
WAYS: Final[Mapping[str, Callable[[Claim, Runs], Answer]]] = {
    "one": _one,
    "seeds": _over_seeds,
    "all": partial(_counted, lambda number, of: number == of),
    "most": partial(_counted, lambda number, of: 2 * number > of),
    "less": _difference,
    "spread": partial(_extreme, _range),
    "largest": partial(_extreme, max),
    "alike": _alike,
    "unlike": _alike,
}


def _combined(values: Sequence[Value]) -> Value:
    """One value for all seeds: the mean, or the word of more than half of them.

    None where half of the seeds or more have none.
    """
    known = [value for value in values if value is not None]
    if 2 * len(known) <= len(values):
        return None
    numbers = [value for value in known if isinstance(value, float)]
    if numbers:
        return mean(numbers)
    word, number = Counter(known).most_common(1)[0]
    return word if 2 * number > len(values) else None


def _listed(values: Sequence[Value]) -> str:
    """What the seeds gave, after what they give together."""
    texts = [_shown(value) for value in values]
    if len(set(texts)) == 1:
        return texts[0] if len(texts) == 1 else f"{texts[0]} (all {len(texts)} seeds)"
    together = _combined(values)
    return (
        f"{_shown(together)} (seeds: {', '.join(texts)})"
        if isinstance(together, float)
        else ", ".join(texts)
    )


def _shown(value: Value) -> str:
    if value is None:
        return "none found"
    return value if isinstance(value, str) else f"{value:.3g}"
