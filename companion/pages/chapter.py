"""What a chapter's notebook shows after its run: figures and tables, from the record alone.

Features, thresholds and times are those that the record holds; only how firm they are is computed
here, from its curves. A
network or a dataset that the paper does not have is shown under its own name, beside numbers that
are "not stated".
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from companion.data.specs import DATASETS
from companion.networks import NETWORKS
from companion.pages import figures
from companion.pages.curve_tables import curve_table, history_table
from companion.pages.escape import in_figure
from companion.pages.features import firmness
from companion.pages.ledger import ChapterClaims, chapter_claims
from companion.pages.panels import chapter_panels, record_threshold
from companion.pages.said import Said, said
from companion.pages.shown import Shown
from companion.pages.tables import NONE_FOUND, NOT_STATED, stated
from companion.runs.chapters import Chapter
from companion.runs.committed import came_with_the_project
from companion.runs.methods import CURVES, METHODS
from companion.runs.records import Record, read_chapter, same_but_seed
from companion.runs.settings import Settings

__all__ = ["Page", "settings_table"]


def settings_table(settings: Settings, outdated: Sequence[str] = ()) -> pd.DataFrame:
    """The settings of a run, before anything is run.

    Parameters
    ----------
    settings : Settings
        Of a registered network or of another.
    outdated : sequence of str, optional
        How a record that is shown as it is differs from what the run would make today, see
        :meth:`companion.runs.run.Run.outdated`.

    Returns
    -------
    DataFrame
        One column, ``value``. Where a registered network is pruned is said too. How the *data*
        differ from the official ones is known once they are loaded, see :meth:`Page.provenance`.

    Examples
    --------
    >>> from companion.runs.settings import settings
    >>> settings_table(settings("mlp", "cifar10"))["value"]["network"]
    'MLP'
    """
    s = settings
    spec, network = DATASETS.get(s.dataset), NETWORKS.get(s.model)
    rows: dict[str, object] = {
        "network": network.title if network else s.model,
        "dataset": spec.title if spec else s.dataset,
        "profile": s.profile,
        "seed": s.seed,
    }
    if network:
        rows["pruned"] = f"{network.where} ({', '.join(network.layers)})"
    rows["training"] = (
        f"at most {s.epochs} epochs, batch {s.batch_size}, Adam {s.learning_rate:g}, "
        f"patience {s.patience}"
    )
    training = [
        "random crops and flips" if s.augment else "",
        f"learning rate falls along a {s.schedule}" if s.schedule != "constant" else "",
        f"from its own training on {DATASETS[s.transfer].title}" if s.transfer else "",
    ]
    rows["training"] = ", ".join([str(rows["training"]), *filter(None, training)])
    if spec and spec.kind == "image":
        rows["split"] = s.split
    if s.options:
        rows["options"] = ", ".join(f"{name}={value}" for name, value in s.options.items())
    if s.checkpoint:
        rows["checkpoint"] = s.checkpoint
    rows["settings that differ from the paper"] = "; ".join(s.differs) or "none"
    if outdated:
        rows["an older record, which a new run would change"] = "; ".join(outdated)
    return pd.DataFrame({"value": rows})


class Page:
    """The page of a chapter.

    Parameters
    ----------
    record : Record
        The run to show.
    siblings : sequence of Record, optional
        Runs of the same settings with other seeds, by seed. By default those that lie beside the
        record, as :func:`companion.runs.records.read_chapter` finds them.

    Attributes
    ----------
    title : str
        Such as ``MLP on CIFAR-10``.

    Raises
    ------
    ThermoError
        If a record beside this one is damaged.
    """

    def __init__(self, record: Record, siblings: Sequence[Record] | None = None) -> None:
        self.record = record
        self.siblings = _beside(record) if siblings is None else list(siblings)
        self._result: Mapping[str, Any] = record.result
        self.title = Chapter(self._result["model"], self._result["dataset"]).title

    def training(self) -> Figure:
        """Loss and validation accuracy over the epochs (Section 4.3)."""
        return figures.training(
            pd.DataFrame(self._result["history"]),
            title=in_figure(self.title),
            synthetic=self._result["synthetic"],
        )

    def history(self) -> Shown:
        """The epochs of the training, see :func:`companion.pages.curve_tables.history_table`."""
        return history_table(self.record)

    def curve(self, method: str) -> Shown:
        """A curve of the record, see :func:`companion.pages.curve_tables.curve_table`.

        Parameters
        ----------
        method : {"full", "renormalized"}
            Which.
        """
        return curve_table(self.record, method)

    def six_panels(self) -> Figure:
        """The paper's figure of the chapter; several seeds shade their range."""
        return chapter_panels([self.record, *self.siblings], title=self.title)

    def features(self) -> pd.DataFrame:
        """Features of both curves, each curve's earliest first.

        Returns
        -------
        DataFrame
            Columns ``method``, ``kind``, ``tau``, ``beta``, ``prominence``, ``low``, ``high``: the
            thresholds that noise does not tell from ``tau``; and ``flat``: whether it counts only
            where there is no other.
        """
        columns = ["method", "kind", "tau", "beta", "prominence", "low", "high"]
        table = pd.DataFrame(self._result["features"], columns=[*columns, "flat"])
        return table.astype(dict.fromkeys(columns[2:], float)).assign(flat=table["flat"].eq(True))

    def thresholds(self) -> pd.DataFrame:
        """Our thresholds beside the paper's.

        Returns
        -------
        DataFrame
            A row per way of finding the threshold; columns ``feature``, ``tau*``, the ``low`` and
            ``high`` end of what the data do not tell from it, ``beta*``, and what the paper states,
            with its source.
        """
        rows = {}
        for method, printed in METHODS.items():
            found = record_threshold(self.record, method)
            rows[printed.title] = {
                "feature": found.kind if found else NONE_FOUND,
                "tau*": found.tau if found else math.nan,
                "low": found.low if found else math.nan,
                "high": found.high if found else math.nan,
                "beta*": found.beta if found else math.nan,
                "paper tau*": self._stated("tau_star", method),
                "paper beta*": self._stated("beta_star", method),
            }
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("threshold from")

    def firmness(self) -> pd.DataFrame:
        """How firmly the curves show their first feature.

        Returns
        -------
        DataFrame
            See :func:`companion.pages.features.firmness`.
        """
        return firmness(self.record, self.siblings)

    def seeds(self) -> pd.DataFrame:
        """Accuracy and thresholds seed by seed, as far as they have been run.

        Returns
        -------
        DataFrame
            A row per seed; with two or more also ``mean``, ``sd`` (the standard deviation of a
            sample) and ``sd, %`` (of the mean). Columns: ``accuracy``, ``tau*`` and ``beta*`` as
            found from the accuracy, FE and RFE; ``nan`` where there is none.
        """
        rows = {}
        for run in self._runs():
            row = {"accuracy": run.result["metrics"]["test_accuracy"]}
            for method, printed in METHODS.items():
                found = record_threshold(run, method)
                row[f"tau*, {printed.short}"] = found.tau if found else math.nan
                row[f"beta*, {printed.short}"] = found.beta if found else math.nan
            rows[str(run.result["seed"])] = row
        table = pd.DataFrame.from_dict(rows, orient="index")
        if len(table) > 1:
            mean, deviation = table.mean(), table.std()
            table.loc["mean"], table.loc["sd"] = mean, deviation
            table.loc["sd, %"] = 100 * deviation / mean
        return table.rename_axis("seed")

    def timings(self) -> pd.DataFrame:
        """Wall time of the stages, and the speed-up of RFE over FE, beside the paper's.

        Returns
        -------
        DataFrame
            Columns ``seconds`` and ``paper seconds``; a last row holds the ratio.
        """
        seconds = self._result["timings"]
        rows = {"training": (seconds["train"], NOT_STATED)}
        for method in CURVES:
            points = len(self.record.curve(method))
            row = f"{METHODS[method].title}, {points} thresholds"
            rows[row] = seconds[method], self._stated("time_s", method)
        rows["ratio"] = seconds["speedup"], self._stated("speedup")
        return pd.DataFrame(rows, index=["seconds", "paper seconds"]).T

    def claims(self) -> ChapterClaims:
        """What the paper claims about this chapter alone, and what the runs of all seeds say.

        Returns
        -------
        ChapterClaims
            A DataFrame, see :func:`companion.pages.ledger.chapter_claims`; without rows where the
            paper has no such chapter.
        """
        return chapter_claims(f"{self._result['model']}-{self._result['dataset']}", self._runs())

    def said(self) -> Said:
        """What the paper says about this chapter, see :func:`companion.pages.said.said`."""
        return said(f"{self._result['model']}-{self._result['dataset']}")

    def provenance(self) -> pd.DataFrame:
        """Where the numbers of this page come from.

        Returns
        -------
        DataFrame
            One column, ``value``.
        """
        made, data = self._result["provenance"], self._result["data"]
        rows = {
            "differs from the paper": "; ".join(self._result["differs"]) or "nothing",
            "data": data["source"],
            "examples": f"{data['train']:,} training, {data['validation']:,} validation, "
            f"{data['test']:,} test",
        }
        if spec := DATASETS.get(self._result["dataset"]):
            train, validation, test = spec.sizes
            # A mirror or a bound may hold less than the official set.
            rows["official sizes"] = (
                f"{train:,} training, {validation or 'no'} validation, {test:,} test"
            )
        rows |= {
            "accuracy of always naming the most frequent class": f"{data['most_frequent']:.1%}",
            "data fingerprint": data["fingerprint"][:16],
            "parameters of the network": f"{self._result['metrics']['parameters']:,}",
            "device": made["device"],
            "commit": made["git_commit"] or "not a checkout",
            "python": made["python"],
            **{name: version for name, version in made["packages"].items() if version},
        }
        return pd.DataFrame({"value": rows})

    def _runs(self) -> list[Record]:
        """This run and its siblings, by seed."""
        return sorted([self.record, *self.siblings], key=lambda run: int(run.result["seed"]))

    def _stated(self, quantity: str, method: str | None = None) -> str:
        model, dataset = self._result["model"], self._result["dataset"]
        return stated(model, dataset, quantity, method, places=True)


def _beside(record: Record) -> list[Record]:
    """Records of the same settings with other seeds, by seed: the project's, or those made here."""
    committed = came_with_the_project(record)
    seed, folder = record.result["seed"], record.folder
    chapter = folder.parent if folder.name == f"seed-{seed}" else folder
    return [
        other
        for other in read_chapter(chapter.parent.parent, chapter.parent.name, chapter.name)
        if other.result["seed"] != seed
        and same_but_seed(other, record.result["settings"])
        and came_with_the_project(other) == committed
    ]
