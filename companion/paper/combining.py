"""How what the records of several seeds and chapters say becomes one answer to a claim.

With several seeds a number is their mean, as in the paper, and a word that of more than half of
them. A number with a sign, such as by how much something comes early, is asked of each seed: what
comes early once does not make up for what comes late another time. Numbers that are infinite where
something is never reached are combined by their median.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from statistics import fmean, median, stdev
from typing import Final, NamedTuple

from companion.paper.claims import Claim
from companion.paper.measures import MEASURES
from companion.paper.rules import Stated, Value, agrees
from companion.runs.chapters import chapter_title

__all__ = ["LEAST_SEEDS", "WAYS", "Answer", "Runs"]

#: Fewer runs than this say nothing about seeds.
LEAST_SEEDS: Final = 3
#: At most this many chapters that do not agree are named.
MOST_NAMED: Final = 3


class Runs(NamedTuple):
    """What the records of a claim's chapters say, by chapter."""

    #: The measure of each seed.
    seeds: Mapping[str, Sequence[Value]]
    #: Distance of neighbouring thresholds.
    steps: Mapping[str, float]
    #: Chapters with the paper's set-up, as far as it matters.
    same: Collection[str] = ()


class Answer(NamedTuple):
    """What the records say about a claim; whether they agree is None where they cannot tell."""

    ours: str
    agreed: bool | None
    places: tuple[str, ...] = ()


def _compared(claim: Claim, value: Value, ours: str) -> Answer:
    """Compare one value with every version of the paper's."""
    good = tuple(v.place for v in claim.stated if agrees(claim.rule, value, v))
    return Answer(ours, bool(good), good)


def _signed(claim: Claim) -> bool:
    return MEASURES[claim.measure].signed


def _middle(claim: Claim) -> Callable[[Sequence[float]], float]:
    """How numbers are combined."""
    return median if MEASURES[claim.measure].endless else fmean


def _values(claim: Claim, runs: Runs) -> dict[str, Value]:
    """One value for all seeds of a chapter."""
    return {name: _combined(found, _middle(claim)) for name, found in runs.seeds.items()}


def _agrees(claim: Claim, name: str, runs: Runs, version: Stated) -> bool:
    """Whether a chapter agrees: its seeds together or, of a number with a sign, each of them.

    Seeds without the measure are passed over where more than half of them have it.
    """
    seeds, step = runs.seeds[name], runs.steps[name]
    if _signed(claim):
        known = [value for value in seeds if value is not None]
        enough = 2 * len(known) > len(seeds)
        return enough and all(agrees(claim.rule, value, version, step) for value in known)
    return agrees(claim.rule, _combined(seeds, _middle(claim)), version, step)


def _one(claim: Claim, runs: Runs) -> Answer:
    """The value of one chapter."""
    (name,) = claim.chapters
    good = tuple(v.place for v in claim.stated if _agrees(claim, name, runs, v))
    ours = _listed(runs.seeds[name], signed=_signed(claim))
    return Answer(ours, bool(good), good)


def _over_seeds(claim: Claim, runs: Runs) -> Answer:
    """Standard deviation over the seeds of one chapter, as a share of their mean."""
    values = runs.seeds[claim.chapters[0]]
    if len(values) < LEAST_SEEDS:
        seeds = "seed" if len(values) == 1 else "seeds"
        return Answer(f"{len(values)} {seeds} run, {LEAST_SEEDS} needed", None)
    known = [value for value in values if isinstance(value, float)]
    if len(known) < len(values) or fmean(known) == 0:
        return _compared(claim, None, _listed(values))
    spread = stdev(known) / fmean(known)
    return _compared(claim, spread, f"{_shown(spread)} ({', '.join(map(_shown, known))})")


def _counted(enough: Callable[[int, int], bool], claim: Claim, runs: Runs) -> Answer:
    """Whether enough chapters agree; those with the paper's set-up are counted apart as well."""
    good = {
        name: any(_agrees(claim, name, runs, version) for version in claim.stated)
        for name in runs.seeds
    }
    failed = [name for name, agreed in good.items() if not agreed]
    ours = f"{len(good) - len(failed)} of {len(good)} chapters"
    if 0 < len(failed) <= MOST_NAMED:
        shown = (
            f"{chapter_title(n)} ({_listed(runs.seeds[n], signed=_signed(claim))})" for n in failed
        )
        ours += f", not {' or '.join(shown)}"
    if 0 < len(runs.same) < len(good):
        ours += f"; {sum(good[n] for n in runs.same)} of {len(runs.same)} with the paper's set-up"
    agreed = enough(len(good) - len(failed), len(good))
    return Answer(ours, agreed, tuple(v.place for v in claim.stated) if agreed else ())


def _difference(claim: Claim, runs: Runs) -> Answer:
    """Mean of the first group less that of the second, over chapters that have the measure."""
    values = _values(claim, runs)
    groups = [
        [value for name in group if isinstance(value := values[name], float)]
        for group in claim.groups
    ]
    if not all(groups):
        return _compared(claim, None, "nothing to compare")
    first, second = (_middle(claim)(group) for group in groups)
    ours = f"{_shown(first)} less {_shown(second)}"
    missing = len(values) - sum(map(len, groups))
    if missing:
        ours += f" ({missing} of {len(values)} chapters without)"
    # Two that are infinite cannot be told apart.
    value = None if math.isnan(first - second) else first - second
    return _compared(claim, value, ours)


def _extreme(of: Callable[[Sequence[float]], float], claim: Claim, runs: Runs) -> Answer:
    """One number from those of all chapters."""
    values = _values(claim, runs).values()
    known = [value for value in values if isinstance(value, float)]
    ours = ", ".join(map(_shown, values))
    if len(known) < len(values):
        return _compared(claim, None, ours)
    return _compared(claim, of(known), f"{_shown(of(known))} ({ours})")


def _alike(claim: Claim, runs: Runs) -> Answer:
    """Whether all chapters give the same value."""
    values = _values(claim, runs).values()
    word = None if None in values else "the same" if len(set(values)) == 1 else "differs"
    return _compared(claim, word, ", ".join(map(_shown, values)))


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


def _combined(values: Sequence[Value], middle: Callable[[Sequence[float]], float] = fmean) -> Value:
    """One value for all seeds: their middle, or the word of more than half of them.

    None where half of the seeds or more have none.
    """
    known = [value for value in values if value is not None]
    if 2 * len(known) <= len(values):
        return None
    numbers = [value for value in known if isinstance(value, float)]
    if numbers:
        return middle(numbers)
    word, number = Counter(known).most_common(1)[0]
    return word if 2 * number > len(values) else None


def _listed(values: Sequence[Value], *, signed: bool = False) -> str:
    """What the seeds gave, after what they give together; numbers with a sign give nothing."""
    texts = [_shown(value) for value in values]
    if len(set(texts)) == 1:
        return texts[0] if len(texts) == 1 else f"{texts[0]} (all {len(texts)} seeds)"
    together = _combined(values)
    if isinstance(together, float) and not signed:
        return f"{_shown(together)} (seeds: {', '.join(texts)})"
    return ", ".join(texts)


def _shown(value: Value) -> str:
    if value is None:
        return "none found"
    if isinstance(value, float) and math.isinf(value):
        return "not reached"
    return value if isinstance(value, str) else f"{value:.3g}"
