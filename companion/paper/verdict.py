"""Everything the conclusion of the book is computed from, computed once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import pandas as pd

from companion.paper.frontier import Outcomes, frontier, outcomes
from companion.paper.predictors import per_chapter, predictions
from companion.paper.runs import Run, runs
from companion.paper.targets import DEFAULT, TARGETS, read_targets
from companion.runs.chapters import chapter
from companion.runs.records import Record

__all__ = ["MIN_CHAPTERS", "OTHER_NETWORKS", "Verdict", "network", "verdict"]

#: With fewer chapters there is nothing to conclude from.
MIN_CHAPTERS: Final = 3
#: The default target, with the parameters of the rules fitted to other networks only.
OTHER_NETWORKS: Final = f"{DEFAULT.name}, other networks"


class Verdict(NamedTuple):
    """What the records say about the predictors.

    Attributes
    ----------
    runs : list of Run
        All runs.
    targets : dict of str to DataFrame
        Where the accuracy gives way, see :func:`companion.paper.targets.read_targets`, by name of
        the target in the order of `TARGETS`.
    predicted : DataFrame
        Predictions of the default target, see :func:`companion.paper.predictors.predictions`.
    errors : DataFrame
        Their errors by chapter, see :func:`companion.paper.predictors.per_chapter`.
    by_target : dict of str to DataFrame
        The same for every target, and for `OTHER_NETWORKS`.
    outcomes : Outcomes
        What every rule does to every run, see :func:`companion.paper.frontier.outcomes`.
    frontier : DataFrame
        Loss against sparsity, see :func:`companion.paper.frontier.frontier`.
    synthetic : bool
        Whether any run is on generated data.
    """

    runs: list[Run]
    targets: dict[str, pd.DataFrame]
    predicted: pd.DataFrame
    errors: pd.DataFrame
    by_target: dict[str, pd.DataFrame]
    outcomes: Outcomes
    frontier: pd.DataFrame
    synthetic: bool

    @property
    def enough(self) -> bool:
        """Whether there are chapters enough to conclude from."""
        return bool(self.errors["chapter"].nunique() >= MIN_CHAPTERS)


def network(name: str) -> str:
    """The network of a chapter, to leave out all its chapters when a rule is fitted.

    Parameters
    ----------
    name : str
        Of the chapter.

    Returns
    -------
    str

    Examples
    --------
    >>> network("mlp-cifar10")
    'mlp'
    """
    return chapter(*name.split("-")).model


def verdict(chapters: Mapping[str, Sequence[Record]]) -> Verdict:
    """Judge every predictor by every target, and as a threshold to prune at.

    Parameters
    ----------
    chapters : mapping of str to sequence of Record
        Records by name of chapter, one per seed.

    Returns
    -------
    Verdict
    """
    seen = runs(chapters)
    targets = {name: read_targets(seen, target) for name, target in TARGETS.items()}
    predicted = {name: predictions(seen, given) for name, given in targets.items()}
    predicted[OTHER_NETWORKS] = predictions(seen, targets[DEFAULT.name], together=network)
    pruned = outcomes(seen)
    errors = {name: per_chapter(table) for name, table in predicted.items()}
    return Verdict(
        seen,
        targets,
        predicted[DEFAULT.name],
        errors[DEFAULT.name],
        errors,
        pruned,
        frontier(pruned),
        any(record.result["synthetic"] for each in chapters.values() for record in each),
    )
