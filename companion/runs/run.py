"""A run: stages that are computed once and kept, and the record they make.

A chapter's notebook calls the library in the open; :meth:`Run.keep` stands between a call and its
result. A call whose result is in the chapter's record, or was kept by an earlier run, finished or
not, is not made again. Whatever a call needs is made by functions marked with :meth:`Run.once`, and
only if the call is made: a finished chapter is shown without data, weights or GPU.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pandas as pd

from companion.runs.kept import set_aside
from companion.runs.methods import CURVES
from companion.runs.once import Once, resolved
from companion.runs.outdated import changed, outdated
from companion.runs.records import Record, read_record, record_folder, write_record
from companion.runs.result import result
from companion.runs.settings import overridden, recorded
from companion.runs.stages import STAGES, WEIGHTS, Stage, Stages
from thermo_utils.errors import ThermoError, unknown
from thermo_utils.grids import automatic_step, uniform_grid
from thermo_utils.sweep_log import is_sweep

if TYPE_CHECKING:  # a finished chapter is shown without torch
    from torch import nn

    from companion.runs.settings import Settings

__all__ = ["WORK", "Run", "check_results", "names"]

T = TypeVar("T")

#: Folder of what runs keep, in the folder of the records.
WORK = ".work"


class Run:
    """One network on one dataset with given settings: its stages, and its record.

    Parameters
    ----------
    settings : Settings
        What is run: :func:`companion.runs.settings.settings` of a chapter, or a ``Settings`` made
        by hand for a network of your own.
    results : path, default "results"
        Folder of the records.
    force : bool, default False
        Compute everything again. The record stays until the new one replaces it, what was kept of
        a stage until its turn.
    frozen : bool, default False
        Show the record as it is and compute nothing, also where the recipe has changed since; then
        `settings` are those of the record, and :meth:`outdated` tells the difference.

    Raises
    ------
    ThermoError
        If there is a record of this run, and it is damaged or of other settings; with `frozen`, if
        it is damaged or there is none.

    Examples
    --------
    A notebook reads like this; each line of it can be replaced::

        run = Run(settings("mlp", "cifar10"))

        @run.once
        def data():
            return image_splits("cifar10", synthetic=True, sizes=run.settings.sizes)

        @run.once
        def network():
            return build("mlp", data().shape)

        @run.once
        def test():
            return batches(data().test, 256)

        history = run.keep("train", train, network, data, epochs=8, batch_size=64,
                           folder=run.scratch("train"))
        layers = ["hidden.relu*"]
        coarse, fine = grids(*run.grid(network, test, layers))
        rfe = run.keep("renormalized", renormalized, network, test, layers, fine)
        fe = run.keep("full", full_evaluation, network, test, layers, coarse)
        record = run.save()
    """

    def __init__(
        self,
        settings: Settings,
        results: str | Path = "results",
        *,
        force: bool = False,
        frozen: bool = False,
    ) -> None:
        if force and frozen:
            raise ThermoError("frozen computes nothing and force everything: take one of them")
        self.settings = settings
        self.results = Path(results)
        self.name = f"{settings.model}-{settings.dataset}"
        self.folder = record_folder(
            self.results, settings.profile, self.name, settings.seed, overridden(settings)
        )
        self._record: Record | None = None if force else read_record(self.folder)
        self._recipe = settings
        if frozen:
            if self._record is None:
                raise ThermoError(f"no record in {self.folder}: run the chapter without --frozen")
            self.settings = recorded(self._record)
        self._check_record()
        self._frozen = frozen
        self._stages = Stages(
            self.settings, self._record, self.results / WORK, force=force, frozen=frozen
        )
        self._grid: tuple[float, float] | None = None
        self._trained: Stage | None = None

    # -- what notebooks call ---------------------------------------------------------------------

    @staticmethod
    def once(make: Callable[[], T]) -> Once[T]:
        """Mark a function whose value the stages need: called when needed, at most once."""
        return Once(make)

    def keep(
        self, stage: str, function: Callable[..., pd.DataFrame], *arguments: Any, **options: Any
    ) -> pd.DataFrame:
        """The result of ``function(*arguments, **options)``, recalled if it is known.

        Parameters
        ----------
        stage : {"train", "renormalized", "full"}
            What the call is.
        function : callable
            Returns a DataFrame: of training the history (columns as of
            :func:`companion.runs.training.train`), else a curve. Training gets the network and the
            data first and changes the network; the others get network, batches, layers and
            thresholds first.
        *arguments, **options
            For `function`; of what is marked with :meth:`once`, it gets the value.

        Returns
        -------
        DataFrame
            What `function` returned, now or in an earlier run.

        Raises
        ------
        ThermoError
            If there is no such stage, or what is known was made by another network, with other
            layers or on another grid than this call's.
        """
        if stage not in STAGES:
            raise unknown("stage", stage, STAGES)
        if stage == "train":
            return self._train(function, arguments, options)
        layers, taus = names(arguments[2]), arguments[3]

        def compute(folder: Path) -> Stage:
            from companion.runs import weights  # loads torch

            values = list(map(resolved, arguments))
            given = {name: resolved(option) for name, option in options.items()}
            sweep = given.get("checkpoint")
            if sweep is not None and Path(sweep).exists() and not is_sweep(Path(sweep)):
                set_aside(Path(sweep), "it does not begin as a sweep")
            curve = function(*values, **given)
            facts: dict[str, Any] = {"attrs": curve.attrs, "layers": layers}
            facts |= {"weights": weights.fingerprint(values[0]), "data": self._data_fingerprint()}
            if stage == "renormalized" and self._grid is not None:
                facts |= dict(zip(("tau_step", "tau_max"), self._grid, strict=True))
            return Stage(facts, curve)

        def check(known: Stage) -> str | None:
            return None if self._frozen else self._check(known, layers, taus)

        found = self._stages.get(stage, compute, check)
        return found.frame

    def grid(self, network: Any, data: Any, layers: Iterable[str]) -> tuple[float, float]:
        """Step and end of the full evaluation's grid: the recipe's, or one that suits the network.

        Parameters
        ----------
        network, data, layers
            As for :func:`thermo_utils.grids.automatic_step`, which chooses where the recipe does
            not, once per run; values or functions marked with :meth:`once`.

        Returns
        -------
        step, last : float
            For :func:`thermo_utils.grids.grids`.
        """
        s = self.settings
        known = self._stages.known("renormalized")
        if s.tau_step is not None and s.tau_max is not None:
            step, last = s.tau_step, s.tau_max
        elif known is not None and "tau_step" in known.facts:
            step, last = known.facts["tau_step"], known.facts["tau_max"]
        else:
            step, last = automatic_step(resolved(network), resolved(data), layers)
        # The last coarse threshold is kept, so both grids end at the same point.
        self._grid = step, float(uniform_grid(step, last)[-1])
        return self._grid

    def scratch(self, stage: str) -> Path:
        """Folder in which a stage may keep its state while it goes on; it need not exist."""
        return self._stages.folder(stage)

    def save(self) -> Record:
        """Write the record; a run that used it for every stage leaves it as it is.

        With `frozen` the record is the one that is there, whether stages were asked for or not.

        Returns
        -------
        Record

        Raises
        ------
        ThermoError
            If a stage is missing.
        """
        if self._frozen:
            assert self._record is not None
            return self._record
        used = self._stages.used()
        missing = [stage for stage in STAGES if stage not in used]
        if missing:
            raise ThermoError(f"nothing to save: run.keep has not run {' and '.join(missing)}")
        if self._record is None or not all(map(self._stages.recorded, STAGES)):
            curves = {stage: used[stage].frame for stage in CURVES}
            facts = {stage: found.facts for stage, found in used.items()}
            write_record(self.folder, result(self.settings, facts, curves), curves)
            self._record = read_record(self.folder)
            assert self._record is not None
        return self._record

    def _check_record(self) -> None:
        """Never replace a record of other settings unasked."""
        if self._record is None:
            return
        differences = changed(recorded(self._record), self.settings)
        if differences:
            raise ThermoError(
                f"the record in {self.folder} is of other settings ({'; '.join(differences)}): "
                "replace it with --force, show it as it is with --frozen, or name another results "
                "folder"
            )

    def _data_fingerprint(self) -> str | None:
        """Of the data the network was trained on, None before it was."""
        return None if self._trained is None else self._trained.facts["data"]["fingerprint"]

    # -- what is asked before a notebook is executed ---------------------------------------------

    def outdated(self) -> tuple[str, ...]:
        """How a record that is shown as it is differs from what the same run would make today.

        Returns
        -------
        tuple of str
            In words; empty where it does not.
        """
        if self._record is None:
            return ()
        return outdated(self._record, self._recipe)

    def check_sources(self) -> None:
        """Refuse to start a run whose data or weights are out of reach, before anything is written.

        Where training is known already, the files in ``THERMO_DATA`` must be those it saw.

        Raises
        ------
        ThermoError
            If ``THERMO_DATA`` points nowhere, the data or the checkpoint cannot be had, or the
            files are not those of the training that is known.
        """
        stages, s = self._stages, self.settings
        if s.synthetic:
            return
        trained = stages.known("train")
        if trained is not None and os.environ.get("THERMO_DATA"):
            self._check_files(trained.facts["data"].get("files"))
        if all(stages.recorded(name) or stages.kept(name) for name in STAGES):
            return
        from companion import checkpoints
        from companion.data import sources

        sources.check_available(s.dataset)
        if s.transfer is not None and trained is None:
            sources.check_available(s.transfer)
        if s.checkpoint is not None:
            checkpoints.check_available(s.checkpoint)

    def _check_files(self, before: str | None) -> None:
        """Hold the files of a mirror against those a known training has read."""
        from companion.data.sources import files_digest

        try:
            now = files_digest(self.settings.dataset)
        except ThermoError:  # no such data at hand, which a record does not need
            return
        if before is None:
            print(
                f"thermo: what is known of {self.name} does not say from which files it was made, "
                "so nothing was held against those in THERMO_DATA",
                file=sys.stderr,
            )
        elif before != now:
            raise ThermoError(
                f"what is known of {self.name} in {self.results} was made from other files than "
                "those in THERMO_DATA: compute it again with --force, show it as it is with "
                "--frozen, or name another results folder"
            )

    # -- stages ----------------------------------------------------------------------------------

    def _train(
        self,
        function: Callable[..., pd.DataFrame],
        arguments: tuple[Any, ...],
        options: Mapping[str, Any],
    ) -> pd.DataFrame:
        """Train, or have the network get the weights of an earlier training when it is made."""
        network, *others = arguments
        definition = network.definition if isinstance(network, Once) else None
        trained = []

        def train(folder: Path, module: nn.Module) -> Stage:
            from companion.runs import weights

            values = [resolved(other) for other in others]
            given = {name: resolved(option) for name, option in options.items()}
            history = function(module, *values, **given)
            trained.append(weights.ready(module))
            weights.save(module, folder / WEIGHTS)
            facts = {
                "history": history.to_dict("records"),
                "data": _described(values),
                "parameters": sum(p.numel() for p in module.parameters()),
                "definition": definition,
                "weights": weights.fingerprint(module),
                **{str(name): value for name, value in history.attrs.items()},
            }
            return Stage(facts)

        def restore(module: nn.Module) -> None:
            from companion.runs import weights

            with self._stages.alone("train"):
                if not self._stages.kept("train"):  # the record came without its weights
                    again = self._stages.compute("train", lambda folder: train(folder, module))
                    self._check_same_training(found, again)
            weights.load(module, self.scratch("train") / WEIGHTS)

        def check(found: Stage) -> None:
            before = None if self._frozen else found.facts.get("definition")
            if None not in (before, definition) and before != definition:
                raise self._another("another network")

        found = self._stages.get("train", lambda folder: train(folder, resolved(network)), check)
        self._trained = found
        if not trained:  # in this process: recalled
            for other in others:
                if isinstance(other, Once):
                    other.then(self._check_data)
            network.then(restore) if isinstance(network, Once) else restore(network)
        return pd.DataFrame(found.facts["history"])

    def _check_data(self, value: Any) -> None:
        """Refuse to evaluate a network on other data than it was trained and tested on."""
        here, before = getattr(value, "fingerprint", None), self._data_fingerprint()
        if here != before:
            raise ThermoError(
                f"the data at hand (fingerprint {str(here)[:16]}) are not those of the training "
                f"kept in {self.results} ({str(before)[:16]}): point to the same data, train again "
                "with --force, or name another results folder"
            )

    def _check_same_training(self, before: Stage, again: Stage) -> None:
        """Refuse to combine curves of one network with curves of another."""
        ended = {stage.facts.get("weights") for stage in (before, again)} - {None}
        if len(ended) > 1 or before.facts["history"] != again.facts["history"]:
            raise ThermoError(
                f"training again did not end with the network of the record in {self.folder}, as "
                "other versions, processors and numbers of threads do: compute all of it again "
                "with --force"
            )

    def _check(self, found: Stage, layers: list[str], taus: Iterable[float]) -> str | None:
        """Refuse a curve that another call has made; or say what it disagrees with."""
        grid, wanted = found.frame["tau"].to_numpy(), np.asarray(taus, dtype=np.float64)
        if found.facts["layers"] != layers:
            raise self._another("other layers")
        if grid.shape != wanted.shape or not np.allclose(grid, wanted, rtol=1e-9, atol=0.0):
            raise self._another("another grid")
        facts = found.facts
        trained = {} if self._trained is None else self._trained.facts
        for what, ours, theirs in (
            ("weights", facts.get("weights"), trained.get("weights")),
            ("data", facts.get("data"), self._data_fingerprint()),
        ):
            if None not in (ours, theirs) and ours != theirs:
                return f"other {what} than the training"
        return None

    def _another(self, what: str) -> ThermoError:
        return ThermoError(
            f"what {self.results} holds of {self.name} was made with {what}: give this run "
            "a name of its own, Settings(model=...), another results folder, or force=True to "
            "replace it"
        )


def names(layers: str | type | Iterable[str | type]) -> list[str]:
    """Layers as a record names them.

    Parameters
    ----------
    layers : str, type or iterable of these
        See :func:`thermo_utils.resolve_layers`.

    Returns
    -------
    list of str

    Examples
    --------
    >>> names(["encoder.*", int]), names("relu")
    (['encoder.*', 'int'], ['relu'])
    """
    items = [layers] if isinstance(layers, str | type) else layers
    return [item if isinstance(item, str) else item.__name__ for item in items]


def _described(values: Iterable[Any]) -> dict[str, Any]:
    """What a record says of the data among the arguments of a training."""
    for value in values:
        if hasattr(value, "facts"):
            facts: dict[str, Any] = value.facts()
            return facts
    raise ThermoError(
        "a record says what a network was trained on: pass the data to run.keep as Splits, such as "
        "image_splits or text_splits return"
    )


def check_results(results: Path) -> None:
    """Refuse a results folder that cannot be written to.

    Parameters
    ----------
    results : Path
        The folder; it need not exist yet.

    Raises
    ------
    ThermoError
        If it, or what it would lie in, is a file or not writable.
    """
    existing = next((p for p in (results, *results.absolute().parents) if p.exists()), None)
    if existing is not None and not existing.is_dir():
        raise ThermoError(f"results folder {results}: {existing} is a file; name another folder")
    if existing is not None and not os.access(existing, os.W_OK | os.X_OK):
        raise ThermoError(
            f"results folder {results}: {existing} cannot be written to; name another"
        )
