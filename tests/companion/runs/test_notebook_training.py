"""A notebook and the experiment in one call: same data, same training, every setting used."""

from __future__ import annotations

import inspect
from typing import Any

import jupytext
import pytest

from companion.data import text
from companion.networks import NETWORKS
from companion.runs import experiment as experiments
from companion.runs.chapters import CHAPTERS
from companion.runs.notebooks import notebook_path
from companion.runs.run import Run
from companion.runs.settings import settings
from companion.runs.training import train

#: Options of :func:`train` where a call says nothing.
USUAL = {
    name: parameter.default
    for name, parameter in inspect.signature(train).parameters.items()
    if parameter.default is not parameter.empty
}


class Called(Exception):  # noqa: N818 - not an error
    """The call that a test waits for was made."""


def others(model: str, dataset: str) -> dict[str, Any]:
    """Other values of all that a training depends on."""
    s = settings(model, dataset, "small")
    given: dict[str, Any] = {
        "epochs": s.epochs + 1, "batch_size": s.batch_size + 1, "learning_rate": 0.25,
        "patience": s.patience + 1, "precision": "bf16-mixed", "train_size": 11,
        "schedule": "constant" if s.schedule == "cosine" else "cosine",
    }  # fmt: skip
    if NETWORKS[model].reads == "image":
        return given | {"augment": not s.augment, "split": "pooled-50-25-25"}
    return given


def source(model: str) -> tuple[list[str], str]:
    """Cells of a notebook up to its training, without parameters; and that of its training."""
    cells = [c for c in jupytext.read(notebook_path(model)).cells if c.cell_type == "code"]
    written = [c.source for c in cells if "parameters" not in c.metadata.get("tags", [])]
    last = next(i for i, cell in enumerate(written) if 'run.keep(\n    "train"' in cell)
    return written[:last], written[last]


@pytest.fixture
def calls(monkeypatch):
    """What would be trained: the call's arguments, with the arguments of the data's loader."""
    found = []

    def keep(run, stage, function, network, data, **options):
        found.append((stage, function, data(), options))
        raise Called

    def load(dataset, **given):
        return dataset, given

    monkeypatch.setattr(Run, "keep", keep)
    monkeypatch.setattr(experiments, "image_splits", load)
    monkeypatch.setattr("companion.data.tensors.image_splits", load)
    monkeypatch.setattr(text, "text_splits", load)
    return found


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda c: c.name)
def test_a_notebook_trains_as_the_experiment_does(chapter, calls, tmp_path, capsys):
    before, training = source(chapter.model)
    trained = []
    for overrides in ({}, others(chapter.model, chapter.dataset)):
        scope = {
            "dataset": chapter.dataset, "profile": "small", "seed": 3, "results": str(tmp_path),
            "force": False, "frozen": False, "overrides": overrides,
        }  # fmt: skip
        for cell in before:
            exec(cell, scope)
        with pytest.raises(Called):
            exec(training, scope)
        with pytest.raises(Called):
            experiments.experiment(scope["run"])
        shown, computed = calls
        assert shown[:3] == computed[:3]
        assert shown[:2] == ("train", train)
        options, same = ({**USUAL, **call[3]} for call in calls)
        assert ("start" in shown[3]) == bool(NETWORKS[chapter.model].head)
        del options["start"], same["start"]  # looked at elsewhere
        assert options == same
        trained.append({**options, **shown[2][1], "folder": None})
        calls.clear()
    plain, changed = trained
    assert {name for name in USUAL if name in plain and plain[name] == changed[name]} == {
        "progress", "seed", *(() if NETWORKS[chapter.model].reads == "image" else ("augment",)),
    }  # fmt: skip
    if NETWORKS[chapter.model].reads == "image":
        assert changed["split"] == "pooled-50-25-25" != plain["split"]
    assert changed["sizes"][0] == 11
    capsys.readouterr()
