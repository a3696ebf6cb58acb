"""One chapter as a sequence of stages, each computed once.

The notebooks are written on top of this: ``train``, ``renormalized`` and ``full_evaluation`` are
one plain call each. :mod:`companion.runs.stages` looks them up in the chapter's record and in
``<results>/.work`` before it computes any.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

from companion.checkpoints import locate
from companion.data.sources import check_available
from companion.data.specs import DATASETS
from companion.data.tensors import EVALUATION_FACTOR, Splits, batches, image_splits
from companion.networks.models import ARCHITECTURES, build
from companion.pages.ledger import ChapterClaims, chapter_claims
from companion.pages.tables import METHOD_TITLES, chapter_title
from companion.paper import published
from companion.runs.chapters import Settings, chapter, settings
from companion.runs.provenance import provenance
from companion.runs.records import (
    Record,
    read_chapter,
    read_record,
    record_folder,
    same_but_seed,
    write_record,
)
from companion.runs.stages import STAGES, Stages
from companion.runs.stages import Stage as Computed
from thermo_utils.errors import ThermoError
from thermo_utils.evaluation import full_evaluation, renormalized
from thermo_utils.grids import automatic_step, uniform_grid
from thermo_utils.transitions import (
    Threshold,
    accuracy_threshold,
    critical_threshold,
    find_transitions,
    transitions_match,
)

__all__ = ["Experiment"]

#: The renormalized curve's grid is this many times finer than the full evaluation's.
FINER = 10
WORK = ".work"
#: What stands where the paper gives no number.
NOT_STATED = "not stated"


class Experiment:
    """A chapter: one network on one dataset at one scale.

    Parameters
    ----------
    model, dataset : str
        Short names, see :data:`companion.runs.chapters.CHAPTERS`.
    profile : {"demo", "small", "paper"}, default "demo"
        The scale.
    seed : int, default 0
        Seed of weights, order, dropout, data split and synthetic data.
    results : path, default "results"
        Folder of the records.
    force : bool, default False
        Compute everything again. The record stays until the new one replaces it, what was kept of
        a stage until its turn.
    progress : bool, default True
        Show progress bars.
    **overrides
        Settings to change, see :data:`companion.runs.chapters.OVERRIDES`; None changes nothing.

    Raises
    ------
    ThermoError
        If a name or a value is not allowed.

    Examples
    --------
    >>> Experiment("mlp", "cifar10", epochs=2).settings.epochs
    2
    """

    def __init__(
        self,
        model: str,
        dataset: str,
        profile: str = "demo",
        seed: int = 0,
        results: str | Path = "results",
        *,
        force: bool = False,
        progress: bool = True,
        **overrides: Any,
    ) -> None:
        self.chapter = chapter(model, dataset)
        self.settings: Settings = settings(model, dataset, profile, seed, **overrides)
        self.results = Path(results)
        self.folder = record_folder(self.results, profile, self.chapter.name, seed)
        self.architecture = ARCHITECTURES[model]
        self._progress = progress
        self._record: Record | None = None if force else read_record(self.folder)
        self._stages = Stages(self.settings, self._record, self.results / WORK, force=force)

    @property
    def title(self) -> str:
        """Such as ``MLP on CIFAR-10``."""
        return chapter_title(self.chapter.name)

    @cached_property
    def data(self) -> Splits:
        """Training, validation and test examples; loaded on first use."""
        s = self.settings
        sizes = (s.train_size, s.validation_size, s.test_size)
        shared: dict[str, Any] = {"synthetic": s.synthetic, "sizes": sizes, "seed": s.seed}
        if self.architecture.kind == "image":
            return image_splits(s.dataset, **shared)
        from companion.data.text import text_splits

        tokenizer = s.tokenizer or s.checkpoint
        assert tokenizer is not None, "every text recipe names one or the other"
        return text_splits(s.dataset, tokenizer=tokenizer, max_length=s.max_length, **shared)

    @property
    def differs(self) -> list[str]:
        """What differs from the paper's set-up, by the recipe and by the data; may be empty."""
        trained = self._stages.known("train")
        facts = trained.facts["data"] if trained else self.data.facts()
        return [*self.settings.differs, *facts["departures"]]

    @cached_property
    def network(self) -> nn.Module:
        """The trained network, in eval mode, on the GPU if there is one."""
        self._stages.get("train", self._train)
        weights = self._stages.folder("train") / "weights.pt"
        with self._stages.alone("train"):
            if not weights.exists():  # the record came without them
                self._stages.compute("train", self._train)
        network = self._new_network()
        network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
        return network.eval().to("cuda" if torch.cuda.is_available() else "cpu")

    @property
    def layers(self) -> tuple[str | type[nn.Module], ...]:
        """Names, patterns and types of the pruned outputs."""
        return self.architecture.layers

    @property
    def evaluation_batch_size(self) -> int:
        """Examples in a batch where no gradients are kept."""
        return EVALUATION_FACTOR * self.settings.batch_size

    @property
    def test_batches(self) -> Any:
        """Test examples in batches for evaluation."""
        return batches(self.data.test, self.evaluation_batch_size)

    def train(self) -> pd.DataFrame:
        """Train the network (Section 4.3), or recall how it was trained.

        Returns
        -------
        DataFrame
            One row per epoch, see :func:`companion.runs.training.train`.
        """
        return pd.DataFrame(self._stages.get("train", self._train).facts["history"])

    def renormalized(self) -> pd.DataFrame:
        """Renormalized free energy of the test data: one unpruned pass (Section 3.7).

        Returns
        -------
        DataFrame
            A curve, on a grid ten times finer than that of :meth:`full_evaluation`.
        """
        return self._curve("renormalized", self._renormalized)

    @property
    def grid(self) -> NDArray[np.float64]:
        """Thresholds of :meth:`full_evaluation`, shape (K,)."""
        stage = self._stages.get("renormalized", self._renormalized)  # which settles them
        return uniform_grid(stage.facts["tau_step"], stage.facts["tau_max"])

    def full_evaluation(self) -> pd.DataFrame:
        """Free energy and accuracy with pruning in the network: one pass per threshold.

        Returns
        -------
        DataFrame
            A curve with accuracies.
        """
        self.renormalized()  # which settles the grid
        return self._curve("full", self._full)

    @property
    def siblings(self) -> list[Record]:
        """Records of the same settings with other seeds, by seed."""
        s = self.settings
        return [
            record
            for record in read_chapter(self.results, s.profile, self.chapter.name)
            if record.result["seed"] != s.seed and same_but_seed(record, s.__dict__)
        ]

    def bands(self) -> dict[str, list[pd.DataFrame]]:
        """Curves of this run and of all recorded runs with other seeds.

        Returns
        -------
        dict of str to list of DataFrame
            ``full`` and ``renormalized``, for :func:`thermo_utils.figures.six_panels`.
        """
        curves = {"full": [self.full_evaluation()], "renormalized": [self.renormalized()]}
        for record in self.siblings:
            for method, found in curves.items():
                found.append(record.curve(method))
        return curves

    def seeds(self) -> pd.DataFrame:
        """Accuracy and thresholds seed by seed, as far as they have been run.

        Returns
        -------
        DataFrame
            A row per seed; with two or more also ``mean``, ``sd`` (the standard deviation of a
            sample) and ``sd, %`` (of the mean). Columns: ``accuracy``, ``tau*`` and ``beta*`` as
            found from the accuracy, FE and RFE.
        """
        own = {method: t._asdict() if t else None for method, t in self.thresholds().items()}
        runs = {self.settings.seed: (self.full_evaluation().attrs["baseline_accuracy"], own)}
        for record in self.siblings:
            result = record.result
            runs[result["seed"]] = result["metrics"]["test_accuracy"], result["thresholds"]
        rows = {}
        for seed in sorted(runs):
            accuracy, found = runs[seed]
            rows[str(seed)] = {"accuracy": accuracy} | {
                f"{symbol}*, {METHOD_TITLES[method]}": threshold[symbol] if threshold else math.nan
                for method, threshold in found.items()
                for symbol in ("tau", "beta")
            }
        table = pd.DataFrame(rows).T
        if len(table) > 1:
            mean, deviation = table.mean(), table.std()
            table.loc["mean"], table.loc["sd"] = mean, deviation
            table.loc["sd, %"] = 100 * deviation / mean
        return table.rename_axis("seed")

    def features(self) -> pd.DataFrame:
        """Features of both curves, as :func:`thermo_utils.find_transitions` finds them.

        Returns
        -------
        DataFrame
            Columns ``method``, ``kind``, ``tau``, ``beta``, ``prominence``.
        """
        curves = {"full": self.full_evaluation(), "renormalized": self.renormalized()}
        found = [find_transitions(c).assign(method=method) for method, c in curves.items()]
        table = pd.concat(found, ignore_index=True)
        return table[["method", "kind", "tau", "beta", "prominence"]]

    def thresholds(self) -> dict[str, Threshold | None]:
        """Critical thresholds: from the accuracy, from FE and from RFE.

        Returns
        -------
        dict
            Keys ``accuracy``, ``full``, ``renormalized``; None where there is none.
        """
        return {
            "accuracy": accuracy_threshold(self.full_evaluation()),
            "full": critical_threshold(self.full_evaluation()),
            "renormalized": critical_threshold(self.renormalized()),
        }

    def comparison(self) -> pd.DataFrame:
        """Our thresholds beside the paper's.

        Returns
        -------
        DataFrame
            A row per way of finding the threshold; columns ``feature``, ``tau``, ``beta`` and what
            the paper states, with its source.
        """
        names = {"accuracy": "accuracy", "full": "full evaluation", "renormalized": "renormalized"}
        rows = []
        for method, threshold in self.thresholds().items():
            rows.append(
                {
                    "threshold from": names[method],
                    "feature": threshold.kind if threshold else "none found",
                    "tau*": threshold.tau if threshold else None,
                    "beta*": threshold.beta if threshold else None,
                    "paper tau*": self._published("tau_star", method),
                    "paper beta*": self._published("beta_star", method),
                }
            )
        return pd.DataFrame(rows).set_index("threshold from")

    def claims(self) -> ChapterClaims:
        """Every claim the paper makes about this chapter, and what the records say about it.

        Returns
        -------
        ChapterClaims
            A DataFrame, see :func:`companion.pages.ledger.chapter_claims`. It rests on what has
            been saved, of all seeds; without a record every claim is ``not run``.
        """
        saved = read_chapter(self.results, self.settings.profile, self.chapter.name)
        return chapter_claims(self.chapter.name, saved)

    def timings(self) -> pd.DataFrame:
        """Wall time of the stages, and the speed-up of RFE over FE, beside the paper's.

        Returns
        -------
        DataFrame
            Columns ``seconds`` and ``paper seconds``; a last row holds the ratio.
        """
        full = self.full_evaluation().attrs["seconds"]
        fast = self.renormalized().attrs["seconds"]
        rows = {
            "training": (self._stages.get("train", self._train).facts["seconds"], NOT_STATED),
            f"full evaluation, {len(self.full_evaluation())} thresholds": (
                full,
                self._published("time_s", "full"),
            ),
            f"renormalized, {len(self.renormalized())} thresholds": (
                fast,
                self._published("time_s", "renormalized"),
            ),
            "ratio": (full / fast, self._published("speedup", None)),
        }
        return pd.DataFrame(rows, index=["seconds", "paper seconds"]).T

    def summary(self) -> pd.DataFrame:
        """The settings of this run and what differs from the paper.

        Returns
        -------
        DataFrame
            One column, ``value``.
        """
        s = self.settings
        rows: dict[str, object] = {
            "network": self.architecture.title,
            "dataset": DATASETS[s.dataset].title,
            "profile": s.profile,
            "seed": s.seed,
            "pruned": f"{self.architecture.where} ({', '.join(self.architecture.layer_names)})",
            "training": f"at most {s.epochs} epochs, batch {s.batch_size}, Adam "
            f"{s.learning_rate:g}, patience {s.patience}",
        }
        if s.options:
            rows["options"] = ", ".join(f"{k}={v}" for k, v in s.options.items())
        if s.checkpoint:
            rows["checkpoint"] = s.checkpoint
        rows["differs from the paper"] = "; ".join(self.differs) or "nothing"
        return pd.DataFrame({"value": rows})

    def provenance(self) -> pd.DataFrame:
        """Where the numbers of this page come from; call it after :meth:`save`.

        Returns
        -------
        DataFrame
            One column, ``value``.
        """
        result = self._saved().result
        made, data = result["provenance"], result["data"]
        train, validation, test = DATASETS[self.settings.dataset].sizes
        rows = {
            "differs from the paper": "; ".join(result["differs"]) or "nothing",
            "data": data["source"],
            "examples": f"{data['train']:,} training, {data['validation']:,} validation, "
            f"{data['test']:,} test",
            # A mirror or a bound may hold less than the official set.
            "official sizes": f"{train:,} training, {validation or 'no'} validation, {test:,} test",
            "accuracy of always naming the most frequent class": f"{data['most_frequent']:.1%}",
            "data fingerprint": data["fingerprint"][:16],
            "parameters of the network": f"{result['metrics']['parameters']:,}",
            "device": made["device"],
            "commit": made["git_commit"] or "not a checkout",
            "python": made["python"],
            **{name: version for name, version in made["packages"].items() if version},
        }
        return pd.DataFrame({"value": rows})

    def save(self) -> Path:
        """Write the result record; a run that used the record for every stage leaves it as it is.

        Returns
        -------
        Path
            The record's folder.
        """
        full, fast = self.full_evaluation(), self.renormalized()
        self.train()
        stages = {name: stage.facts for name, stage in self._stages.used().items()}
        if self._record is not None and all(
            self._record.result["stages"][name]["key"] == facts["key"]
            for name, facts in stages.items()
        ):
            return self.folder
        trained, s = stages["train"], self.settings
        thresholds = {
            method: threshold._asdict() if threshold else None
            for method, threshold in self.thresholds().items()
        }
        result = {
            "model": s.model,
            "dataset": s.dataset,
            "figure": self.chapter.figure,
            "profile": s.profile,
            "seed": s.seed,
            "synthetic": s.synthetic,
            "settings": s.__dict__,
            "layers": self.architecture.layer_names,
            "stages": {
                name: {k: v for k, v in facts.items() if k != "history"}
                for name, facts in stages.items()
            },
            "data": trained["data"],
            "history": trained["history"],
            "differs": self.differs,
            "metrics": {
                "test_accuracy": full.attrs["baseline_accuracy"],
                "validation_accuracy": max(r["validation_accuracy"] for r in trained["history"]),
                "epochs": len(trained["history"]),
                "parameters": trained["parameters"],
            },
            "features": self.features().to_dict("records"),
            "thresholds": thresholds,
            "match": transitions_match(full, fast),
            "timings": {
                "train": trained["seconds"],
                "full": full.attrs["seconds"],
                "renormalized": fast.attrs["seconds"],
                "speedup": full.attrs["seconds"] / fast.attrs["seconds"],
            },
            "provenance": provenance(),
        }
        write_record(self.folder, result, {"full": full, "renormalized": fast})
        return self.folder

    def _saved(self) -> Record:
        record = read_record(self.folder)
        if record is None:
            raise ThermoError(f"no record in {self.folder} yet: call save() first")
        return record

    def _published(self, quantity: str, method: str | None) -> str:
        rows = published.lookup(self.settings.model, self.settings.dataset, quantity, method)
        places: dict[str, list[str]] = {}
        for row in rows.itertuples():
            places.setdefault(_stated(row), []).append(str(row.source))
        texts = [f"{value} ({', '.join(dict.fromkeys(found))})" for value, found in places.items()]
        return "; ".join(texts) or NOT_STATED

    def check_frozen(self) -> None:
        """Refuse to go on unless every stage is in the record.

        Raises
        ------
        ThermoError
            If there is no record, or it is of other settings.
        """
        if self._record is None:
            raise ThermoError(f"no record in {self.folder}: run the chapter without --frozen")
        for stage in STAGES:
            if not self._stages.recorded(stage):
                raise ThermoError(
                    f"the record in {self.folder} is of other settings (stage {stage}): run the "
                    "chapter without --frozen"
                )

    def check_sources(self) -> None:
        """Refuse to start a run whose data or weights are out of reach, before anything is written.

        Raises
        ------
        ThermoError
            If ``THERMO_DATA`` points nowhere, or the data or the checkpoint cannot be had.
        """
        stages = self._stages
        if self.settings.synthetic or all(stages.recorded(s) or stages.kept(s) for s in STAGES):
            return
        check_available(self.settings.dataset)
        if self.settings.checkpoint is not None:
            locate(self.settings.checkpoint)

    # -- stages ----------------------------------------------------------------------------------

    def _curve(self, name: str, compute: Callable[[Path], Computed]) -> pd.DataFrame:
        curve = self._stages.get(name, compute).curve
        assert curve is not None, "all stages but training have one"
        return curve

    def _new_network(self) -> nn.Module:
        s = self.settings
        torch.manual_seed(s.seed)
        options = dict(s.options)
        if s.checkpoint is not None:
            options["checkpoint"] = s.checkpoint
        return build(s.model, self.data, **options)

    def _train(self, folder: Path) -> Computed:
        from companion.runs.training import train  # Lightning takes seconds to load

        s, network = self.settings, self._new_network()
        history = train(
            network,
            self.data,
            epochs=s.epochs,
            batch_size=s.batch_size,
            folder=folder,
            learning_rate=s.learning_rate,
            patience=s.patience,
            seed=s.seed,
            precision=s.precision,
            progress=self._progress,
        )
        part = folder / "weights.pt.part"
        torch.save(network.state_dict(), part)
        os.replace(part, folder / "weights.pt")
        return Computed(
            {
                "history": history.to_dict("records"),
                "data": self.data.facts(),
                "parameters": sum(p.numel() for p in network.parameters()),
            }
        )

    def _renormalized(self, folder: Path) -> Computed:
        s = self.settings
        step, last = s.tau_step, s.tau_max
        if step is None or last is None:
            step, last = automatic_step(self.network, self.test_batches, self.layers)
        # The last coarse threshold is kept, so both grids end at the same point.
        last = float(uniform_grid(step, last)[-1])
        curve = renormalized(
            self.network,
            self.test_batches,
            self.layers,
            uniform_grid(step / FINER, last),
            progress=self._progress,
        )
        return Computed({"attrs": curve.attrs, "tau_step": step, "tau_max": last}, curve)

    def _full(self, folder: Path) -> Computed:
        curve = full_evaluation(
            self.network,
            self.test_batches,
            self.layers,
            self.grid,
            checkpoint=folder / "sweep.jsonl",
            progress=self._progress,
        )
        return Computed({"attrs": curve.attrs}, curve)


def _stated(row: Any) -> str:
    """A published number or range as text."""
    return str(row.value) if pd.isna(row.low) else published.as_range(row.low, row.high)


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
