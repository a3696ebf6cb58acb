"""What a chapter's notebook shows after its run: figures and tables, from the record alone.

Features, thresholds and times are those that the record holds; only how firm they are is computed
here, from its curves. A network or a dataset that the paper does not have is shown under its own
name, beside numbers that are "not stated". Tables hold text, ready to be looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from companion.data.specs import DATASETS
from companion.pages import figures
from companion.pages.chapter_tables import (
    features_table,
    seeds_table,
    thresholds_table,
    timings_table,
)
from companion.pages.curve_tables import curve_table, history_table
from companion.pages.escape import in_figure
from companion.pages.features import firmness
from companion.pages.ledger import ChapterClaims, chapter_claims
from companion.pages.panels import chapter_panels
from companion.pages.said import Said, said
from companion.pages.setting_words import setting_words
from companion.pages.shown import Shown, percent, shown
from companion.runs.chapters import Chapter
from companion.runs.committed import came_with_the_project
from companion.runs.records import Record, read_chapter, same_but_seed
from companion.runs.settings import Settings

__all__ = ["Page", "settings_table"]


def settings_table(settings: Settings, outdated: Sequence[str] = ()) -> Shown:
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
    Shown
        One column, ``value``: :func:`companion.pages.setting_words.setting_words`, and how the
        settings differ from the paper's. How the *data* differ from the official ones is known
        once they are loaded, see :meth:`Page.provenance`.

    Examples
    --------
    >>> from companion.runs.settings import settings
    >>> settings_table(settings("mlp", "cifar10"))["value"]["network"]
    'MLP'
    """
    rows = setting_words(settings)
    rows["settings that differ from the paper"] = "; ".join(settings.differs) or "none"
    if outdated:
        rows["an older record, which a new run would change"] = "; ".join(outdated)
    return shown(["setting", "value"], rows.items())


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

    def features(self) -> Shown:
        """Features of both curves of the record, the earliest first."""
        return features_table(self.record)

    def thresholds(self) -> Shown:
        """Thresholds over all seeds beside the paper's."""
        return thresholds_table(self._runs())

    def firmness(self) -> Shown:
        """How firmly the curves show their first feature, and under which variants of the rule.

        Returns
        -------
        Shown
            See :func:`companion.pages.features.firmness`.
        """
        return Shown(firmness(self.record, self.siblings).rename_axis("asked of F"))

    def seeds(self) -> Shown:
        """Accuracy and thresholds seed by seed, as far as they have been run."""
        return seeds_table(self._runs())

    def timings(self) -> Shown:
        """Wall time of the stages over all seeds beside the paper's."""
        return timings_table(self._runs())

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

    def provenance(self) -> Shown:
        """Where the numbers of this page come from.

        Returns
        -------
        Shown
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
            "accuracy of always naming the most frequent class": percent(data["most_frequent"]),
            "data fingerprint": data["fingerprint"][:16],
            "parameters of the network": f"{self._result['metrics']['parameters']:,}",
            "device": made["device"],
            "commit": made["git_commit"] or "not a checkout",
            "python": made["python"],
            **{name: version for name, version in made["packages"].items() if version},
        }
        return shown(["of these numbers", "value"], rows.items())

    def _runs(self) -> list[Record]:
        """This run and its siblings, by seed."""
        return sorted([self.record, *self.siblings], key=lambda run: int(run.result["seed"]))


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
