"""The chapters: which network on which data, and which figure of the paper. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from companion.data.specs import DATASETS
from companion.networks import NETWORKS
from thermo_utils.errors import ThermoError, unknown

__all__ = [
    "ADDED", "CHAPTERS", "Chapter", "added", "chapter", "chapter_title", "chapter_titles",
]  # fmt: skip


@dataclass(frozen=True)
class Chapter:
    """One network on one dataset.

    Attributes
    ----------
    model, dataset : str
        Short names.
    figure : int or None
        Number of its figure in the paper, if it is in the paper.

    Examples
    --------
    >>> Chapter("mlp", "cifar10").title
    'MLP on CIFAR-10'
    """

    model: str
    dataset: str
    figure: int | None = None

    @property
    def name(self) -> str:
        """``model-dataset``, the name of folders and pages."""
        return f"{self.model}-{self.dataset}"

    @property
    def title(self) -> str:
        """Such as ``MLP on CIFAR-10``; a name that is not registered stands for itself."""
        network, data = NETWORKS.get(self.model), DATASETS.get(self.dataset)
        model = network.title if network else self.model
        return f"{model} on {data.title if data else self.dataset}"


#: Those of the paper, in the order of its figures.
CHAPTERS: tuple[Chapter, ...] = tuple(
    Chapter(model, dataset, figure)
    for figure, model, dataset in sorted(
        (figure, network.name, dataset)
        for network in NETWORKS.values()
        for dataset, figure in network.figures.items()
    )
)

#: Those that are not in the paper, of every network and dataset with a recipe, by network.
ADDED: tuple[Chapter, ...] = tuple(
    Chapter(network.name, dataset)
    for network in NETWORKS.values()
    for dataset in dict.fromkeys(dataset for dataset, _ in network.recipes)
    if dataset not in network.figures
)


def added(profile: str) -> list[Chapter]:
    """Chapters that are not in the paper and can be run at a profile.

    Parameters
    ----------
    profile : str
        Which.

    Returns
    -------
    list of Chapter
        Those of `ADDED` with a recipe of this profile.
    """
    return [c for c in ADDED if (c.dataset, profile) in NETWORKS[c.model].recipes]


def chapter(model: str, dataset: str) -> Chapter:
    """Look a chapter up, one of the paper or of another registered network.

    Parameters
    ----------
    model, dataset : str
        Short names.

    Returns
    -------
    Chapter

    Raises
    ------
    ThermoError
        If the model or the dataset does not exist, or there is no recipe for the two.

    Examples
    --------
    >>> chapter("mlp", "cifar10").figure
    2
    """
    if model not in NETWORKS:
        raise unknown("model", model, NETWORKS)
    if dataset not in DATASETS:
        raise unknown("dataset", dataset, DATASETS)
    network = NETWORKS[model]
    fitting = [d for d in DATASETS if any(d == known for known, _ in network.recipes)]
    if dataset not in fitting:
        raise ThermoError(
            f"{model} has no chapter on {dataset}: take {' or '.join(fitting) or 'another network'}"
        )
    return Chapter(model, dataset, network.figures.get(dataset))


def chapter_title(name: str) -> str:
    """Title of a chapter.

    Parameters
    ----------
    name : str
        ``model-dataset``.

    Returns
    -------
    str

    Examples
    --------
    >>> chapter_title("mlp-cifar10")
    'MLP on CIFAR-10'
    """
    model, dataset = name.rsplit("-", 1)
    return Chapter(model, dataset).title


def chapter_titles(names: Iterable[str]) -> str:
    """Titles of chapters, one after the other.

    Parameters
    ----------
    names : iterable of str
        ``model-dataset``.

    Returns
    -------
    str

    Examples
    --------
    >>> chapter_titles(["mlp-cifar10", "lstm-yelp"])
    'MLP on CIFAR-10, LSTM on Yelp Review Full'
    """
    return ", ".join(map(chapter_title, names))
