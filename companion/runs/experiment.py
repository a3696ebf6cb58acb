"""A chapter's experiment in one call, for what goes beyond its notebook: variants, benchmarks.

The notebooks make the same calls in the open, and a test holds both to the same digits.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch

from companion.data.specs import DATASETS
from companion.data.tensors import evaluation_batches, image_splits
from companion.networks import NETWORKS, build
from companion.runs.once import Once
from companion.runs.run import Run
from companion.runs.stages import DONE
from companion.runs.training import train
from companion.runs.weights import Body, body
from thermo_utils import full_evaluation, renormalized
from thermo_utils.grids import grids

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import nn

    from companion.data.tensors import Splits
    from companion.runs.settings import Settings

__all__ = ["Experiment", "experiment", "splits", "transferred"]


@dataclass(frozen=True)
class Experiment:
    """A trained network with what it is tested on; what is a function is made on first call.

    Attributes
    ----------
    run : Run
        Keeps the stages.
    data : callable
        Returns the Splits.
    network : callable
        Returns the trained network, in eval mode, on the GPU if there is one.
    test : callable
        Returns the test examples in batches for evaluation.
    layers : tuple of str
        The pruned outputs.
    history : DataFrame
        Of the training.
    """

    run: Run
    data: Callable[[], Splits]
    network: Callable[[], nn.Module]
    test: Callable[[], Any]
    layers: tuple[str, ...]
    history: pd.DataFrame

    @property
    def grids(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Thresholds of the full evaluation and of the renormalized curve."""
        return grids(*self.run.grid(self.network, self.test, self.layers))

    def renormalized(self) -> pd.DataFrame:
        """The renormalized curve of the test data."""
        coarse, fine = self.grids
        return self.run.keep(
            "renormalized", renormalized, self.network, self.test, self.layers, fine, blocks=coarse
        )

    def full_evaluation(self) -> pd.DataFrame:
        """The curve, and the accuracies, with pruning in the network.

        Every pass as a whole, whose time is one of the paper's results.
        """
        sweep = self.run.scratch("full") / "sweep.jsonl"
        return self.run.keep(
            "full", full_evaluation, self.network, self.test, self.layers, self.grids[0],
            blocks=self.grids[0], checkpoint=sweep, reuse=False,
        )  # fmt: skip


def experiment(run: Run, *, progress: bool = True) -> Experiment:
    """The experiment of a registered network: trained, unless that was done before.

    Parameters
    ----------
    run : Run
        Of a chapter.
    progress : bool, default True
        Show the progress of training.

    Returns
    -------
    Experiment

    Raises
    ------
    ThermoError
        As the functions that are called.
    """
    s = run.settings
    registered = NETWORKS[s.model]

    @run.once
    def data() -> Splits:
        return splits(s)

    def make() -> nn.Module:
        torch.manual_seed(s.seed)
        return build(s.model, data().shape, **s.network_options)

    # The same network as the notebook's, in other words.
    network = Once(make, checked=False)

    @run.once
    def test() -> Any:
        return evaluation_batches(data().test, s.batch_size)

    @run.once
    def start() -> Body | None:
        return transferred(run, progress=progress)

    history = run.keep(
        "train", train, network, data,
        epochs=s.epochs, batch_size=s.batch_size, learning_rate=s.learning_rate,
        patience=s.patience, seed=s.seed, precision=s.precision, augment=s.augment,
        schedule=s.schedule, start=start, progress=progress, folder=run.scratch("train"),
    )  # fmt: skip
    return Experiment(run, data, network, test, registered.layers, history)


def splits(s: Settings) -> Splits:
    """The data of a run.

    Parameters
    ----------
    s : Settings
        Of a registered network.

    Returns
    -------
    Splits

    Raises
    ------
    ThermoError
        If they cannot be had.
    """
    if DATASETS[s.dataset].kind == "image":
        return image_splits(
            s.dataset, synthetic=s.synthetic, sizes=s.sizes, seed=s.seed, split=s.split
        )
    from companion.data.text import text_splits

    tokenizer = s.tokenizer or s.checkpoint
    assert tokenizer is not None, "every text recipe names one or the other"
    return text_splits(
        s.dataset, synthetic=s.synthetic, sizes=s.sizes, seed=s.seed,
        tokenizer=tokenizer, max_length=s.max_length,
    )  # fmt: skip


def transferred(run: Run, *, progress: bool = True) -> Body | None:
    """What a run starts from: the training of the same network, profile and seed on other data.

    It is looked up among the stages in the run's results folder, and trained there, with a line on
    standard error, if it is not among them.

    Parameters
    ----------
    run : Run
        Of a chapter.
    progress : bool, default True
        Show the progress of training.

    Returns
    -------
    Body or None
        None for a run that does not start from another.

    Raises
    ------
    ThermoError
        If the other data cannot be had, or what is known of the other run is of other settings or
        other data.
    """
    settings = run.settings.source
    if settings is None:
        return None
    source = Run(settings, run.results)
    source.check_sources()
    if not (source.scratch("train") / DONE).exists():
        print(f"thermo: {run.name} starts from {source.name}, trained first", file=sys.stderr)
    network = experiment(source, progress=progress).network()
    return body(network, NETWORKS[settings.model].head)
