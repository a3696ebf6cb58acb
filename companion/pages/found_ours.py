"""Sentences on what a chapter's runs reached, and where their accuracy and F change."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from companion.data.specs import DATASETS
from companion.networks import NETWORKS
from companion.pages.escape import in_markdown
from companion.pages.seen import Cost, Mark, Seen
from companion.pages.shown import decimals, fraction, significant
from companion.pages.wording import a, listed, on_seeds, over_seeds
from companion.paper.targets import DEFAULT
from companion.runs.chapters import Chapter
from thermo_utils.accuracy import ERRORS

__all__ = ["Names", "accuracy", "cost", "features", "order", "short_tau"]

#: What the test examples of a dataset are.
EXAMPLES: Final[Mapping[str, str]] = {"image": "images", "text": "texts"}
#: Rounding of thresholds, as a share of a grid step.
TINY: Final = 1e-6
#: With more seeds than this, what each one loses is not listed.
MOST_LISTED: Final = 3
#: Why the accuracy of a seed has no threshold, in words that go on a sentence.
UNJUDGED: Final[Mapping[str, str]] = {
    "grid": "loses no more than {drop} up to the last threshold, τ = {last}",
    "at once": "has lost more than {drop} at the first threshold, τ = {first}, already",
}


class Names(NamedTuple):
    """How a chapter and its parts are called, as text of Markdown."""

    network: str
    #: As the sentences call it, and by its own name.
    data: str
    official: str
    examples: str
    synthetic: bool

    @classmethod
    def of(cls, chapter: Chapter, *, synthetic: bool) -> Names:
        network, data = NETWORKS.get(chapter.model), DATASETS.get(chapter.dataset)
        official = in_markdown(data.title if data else chapter.dataset)
        return cls(
            in_markdown(network.title if network else chapter.model),
            f"synthetic {official}" if synthetic else official,
            official,
            EXAMPLES.get(data.kind, "examples") if data else "examples",
            synthetic,
        )

    @property
    def title(self) -> str:
        return f"{self.network} on {self.data}"


def accuracy(names: Names, seen: Sequence[Seen]) -> str:
    """How good the networks are, and how far they can be pruned."""
    usual = over_seeds([100 * run.usual for run in seen], _points, 1)
    reached = over_seeds([100 * run.accuracy for run in seen], _points, 1)
    seeds = [run.seed for run in seen]
    many = "" if len(seen) == 1 else "s"
    whose = f"Our {names.network}, run with seed{many} {listed([str(s) for s in seeds])},"
    right = f"{names.data} test {names.examples} (always naming the most frequent class: {usual} %)"
    return f"{whose} is right on {reached} % of the {right} and {_kept(seen)}."


def _kept(seen: Sequence[Seen]) -> str:
    """Up to where the accuracy keeps; words that go on a sentence."""
    if any(run.reason == "lift" for run in seen):  # which is asked of all seeds together
        return (
            f"is not judged by where it gives way, since losing {DEFAULT.name} would be half or "
            "more of what it knows"
        )
    seeds = [run.seed for run in seen]
    judged = [run for run in seen if run.drop is not None]
    parts = []
    if judged:
        drops = [run.drop for run in judged if run.drop is not None]
        tau = over_seeds([drop[0] for drop in drops], short_tau, ends=True)
        beta = over_seeds([drop[1] for drop in drops], fraction)
        parts.append(
            f"keeps that to within {DEFAULT.name} up to τ = {tau}, where β = {beta}"
            f"{on_seeds([run.seed for run in judged], seeds)}"
        )
    for reason, words in UNJUDGED.items():
        here = [run for run in seen if run.reason == reason]
        if here:
            text = words.format(
                drop=DEFAULT.name,
                first=over_seeds([run.grid[0] for run in here], short_tau),
                last=over_seeds([run.grid[1] for run in here], short_tau),
            )
            parts.append(text + on_seeds([run.seed for run in here], seeds))
    return listed(parts)


def features(names: Names, seen: Sequence[Seen]) -> str:
    """The first features of both free energies."""
    if not any(run.full or run.fast for run in seen):
        return ""  # it is said above
    seeds = [run.seed for run in seen]
    full, fast = (
        _marks([(run.seed, getattr(run, name)) for run in seen]) for name in ("full", "fast")
    )
    matching = [run.seed for run in seen if run.match]
    never = "do not match" if len(seen) == 1 else "never match"
    match = f"the two {f'match{on_seeds(matching, seeds)}' if matching else never}"
    first = "first shows" if any(run.full for run in seen) else "shows"
    return (
        f"Under full evaluation (FE), F of {names.title} {first} {full}; renormalized, from one "
        f"unpruned pass (RFE), it shows {fast}; {match}."
    )


def _marks(marks: Sequence[tuple[int, Mark | None]]) -> str:
    """Features of several seeds, those of a kind together; what has none comes last."""
    kinds: dict[str, list[tuple[int, Mark]]] = {}
    for seed, mark in marks:
        if mark is not None:
            kinds.setdefault(mark.kind, []).append((seed, mark))
    seeds = [seed for seed, _ in marks]
    parts = []
    for kind, here in kinds.items():
        tau = over_seeds([mark.tau for _, mark in here], short_tau, ends=True)
        betas = [mark.beta for _, mark in here if not math.isnan(mark.beta)]
        beta = f", β\\* = {over_seeds(betas, fraction)}" if betas else ""
        on = on_seeds([seed for seed, _ in here], seeds)
        parts.append(f"{a(kind)} at τ\\* = {tau}{beta}{on}")
    missing = [seed for seed, mark in marks if mark is None]
    return listed([*parts, f"no feature{on_seeds(missing, seeds)}"] if missing else parts)


def order(names: Names, seen: Sequence[Seen]) -> str:
    """Whether the first feature comes before, at or after the place where accuracy gives way."""
    if not any(run.full or run.fast for run in seen):
        return (
            f"**F of {names.title} shows no feature**, neither under full evaluation (FE) nor "
            "renormalized, from one unpruned pass (RFE)."
        )
    both = [
        (run, run.full.tau, run.drop[0])
        for run in seen
        if run.full is not None and run.drop is not None
    ]
    if not both:
        return ""
    groups: dict[str, list[tuple[int, float]]] = {"before": [], "at": [], "after": []}
    for run, tau, drop in both:
        steps = (tau - drop) / run.step
        where = "at" if abs(steps) <= 1 + TINY else "before" if steps < 0 else "after"
        groups[where].append((run.seed, max(tau / drop, drop / tau)))
    seeds = [run.seed for run in seen]
    parts: list[str] = []
    for where, here in groups.items():
        if not here:
            continue
        gives = "it does" if parts else "the accuracy gives way"
        to = f"within a grid step of where {gives}" if where == "at" else f"{where} {gives}"
        by = "" if where == "at" else f" ({_factors(here)})"
        parts.append(f"{to}{on_seeds([seed for seed, _ in here], seeds)}{by}")
    missing = [run.seed for run in seen if run.full is None]
    none = f"; there is none{on_seeds(missing, seeds)}" if missing else ""
    return f"**In {names.title}, the first feature of F comes {listed(parts)}{none}.**"


def _factors(here: Sequence[tuple[int, float]]) -> str:
    times = over_seeds([factor for _, factor in here], _factor)
    return f"by {'factors' if ' and ' in times else 'a factor'} of {times} in τ"


def cost(names: Names, seen: Sequence[Seen]) -> str:
    """What is lost at the first feature."""
    costs = [(run.seed, run.cost) for run in seen if run.cost is not None]
    if not costs:
        return ""
    points = [lost.points for _, lost in costs]
    gained = max(round(value, 1) for value in points) < 0
    seeds = on_seeds([seed for seed, _ in costs], [run.seed for run in seen])
    where = f"Pruning {names.network} at the first feature of F {'gains' if gained else 'costs'}"
    if len(costs) > MOST_LISTED:
        values = over_seeds([-p if gained else p for p in points], _points, ends=True)
        return f"{where} {values} points of accuracy on {names.data}{seeds}."
    told = listed([_interval(lost, gained=gained) for _, lost in costs])
    each = ", seed by seed" if len(costs) > 1 else ""
    known = all(not math.isnan(lost.error) for _, lost in costs)
    brackets = f" (in brackets: ± {ERRORS:g} standard errors of the difference)" if known else ""
    return f"{where} {told} points of accuracy on {names.data}{seeds or each}{brackets}."


def _interval(lost: Cost, *, gained: bool) -> str:
    points = -lost.points if gained else lost.points
    text = _points(points)
    if math.isnan(lost.error):
        return text
    low, high = (points + shift * ERRORS * lost.error for shift in (-1, 1))
    return f"{text} ({_points(low)} to {_points(high)})"


def short_tau(tau: float) -> str:
    """A threshold to three digits."""
    return significant(tau, 3)


def _points(points: float) -> str:
    return decimals(points, 1)


def _factor(factor: float) -> str:
    return f"{factor:.1f}" if factor < 10 else f"{factor:.0f}"
