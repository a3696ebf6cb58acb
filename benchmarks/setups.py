"""``python -m benchmarks.setups``: which set-up comes to what the paper publishes?

For networks that start from random weights in the paper, too: the chapter's network is made or
trained otherwise in one way at a time, and its test accuracy and its sparsities at the published
thresholds are written down. Goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from benchmarks.command import exit_code
from companion.data.tensors import Examples, Splits, evaluation_batches
from companion.networks import NETWORKS, build
from companion.pages.setups import FILE, FORMAT, SAME, comparable, read_setups, taus
from companion.pages.silent import WIDTHS
from companion.runs.experiment import splits
from companion.runs.provenance import provenance
from companion.runs.records import to_json
from companion.runs.settings import Settings, settings
from companion.runs.training import train
from thermo_utils import evaluate, full_evaluation
from thermo_utils.errors import ThermoError, unknown
from thermo_utils.files import write_atomically

__all__ = ["Setup", "main", "measured", "setups"]


@dataclass(frozen=True)
class Setup:
    """A way to make or train a network otherwise.

    Attributes
    ----------
    words : str
        What is done.
    options, changes : mapping
        Options of the network, and settings of its training, that differ from the chapter's.
    on_test : bool
        Train on what the chapter holds out too, and stop by the accuracy on test data.
    """

    words: str
    options: Mapping[str, Any] = field(default_factory=dict)
    changes: Mapping[str, Any] = field(default_factory=dict)
    on_test: bool = False


def setups(given: Settings) -> list[Setup]:
    """What is tried on a chapter, its own set-up first.

    Parameters
    ----------
    given : Settings
        Of the chapter.

    Returns
    -------
    list of Setup
    """
    found = [
        Setup(SAME),
        Setup("no dropout", {"dropout": 0.0}),
        Setup("five epochs", changes={"epochs": 5}),
        Setup("patience 10", changes={"patience": 10}),
        Setup("nothing held out, stopped by the test data", on_test=True),
        Setup("half as wide", _widths(given, 0.5)),
        Setup("twice as wide", _widths(given, 2)),
    ]
    if "normalisation" in inspect.signature(NETWORKS[given.model].make).parameters:
        found.append(Setup("no normalisation", {"normalisation": False}))
    return found


def _widths(given: Settings, factor: float) -> dict[str, Any]:
    """All hidden widths of a network, multiplied."""
    parameters = inspect.signature(NETWORKS[given.model].make).parameters

    def scaled(value: Any) -> Any:
        if isinstance(value, int):
            return max(1, int(factor * value))
        return tuple(scaled(part) for part in value)

    return {
        name: scaled(given.options.get(name, parameters[name].default))
        for name in WIDTHS[given.model]
    }


def measured(given: Settings, setup: Setup, data: Splits) -> dict[str, Any]:
    """Accuracy and sparsities of a network that is made or trained otherwise.

    Parameters
    ----------
    given : Settings
        Of the chapter.
    setup : Setup
        What differs.
    data : Splits
        Of the chapter.

    Returns
    -------
    dict
        As :class:`companion.pages.setups.Tried` says.
    """
    s = dataclasses.replace(given, **setup.changes)
    if setup.on_test:
        data = dataclasses.replace(
            data, train=joined(data.train, data.validation), validation=data.test
        )
    torch.manual_seed(s.seed)
    network = build(s.model, data.shape, **{**s.network_options, **setup.options})
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        history = train(
            network, data, folder=folder, epochs=s.epochs, batch_size=s.batch_size,
            learning_rate=s.learning_rate, patience=s.patience, seed=s.seed,
            precision=s.precision, augment=s.augment, schedule=s.schedule,
        )  # fmt: skip
    seconds = time.perf_counter() - started
    test = evaluation_batches(data.test, s.batch_size)
    wanted = taus(s.model, s.dataset)
    curve = full_evaluation(network, test, NETWORKS[s.model].layers, wanted, progress=False)
    return {
        "accuracy": evaluate(network, test),
        "validation_accuracy": float(history["validation_accuracy"].max()),
        "epochs": len(history),
        "tau": wanted,
        "beta": curve["beta"].tolist(),
        "pruned_accuracy": curve["accuracy"].tolist(),
        "seconds": seconds,
        "provenance": provenance(),
    }


def joined(first: Examples, second: Examples) -> Examples:
    """The examples of both, one after the other."""

    def both(a: Any, b: Any) -> Any:
        if isinstance(a, Mapping):
            return {name: both(a[name], b[name]) for name in a}
        return torch.cat([a, b])

    return Examples(both(first.inputs, second.inputs), torch.cat([first.targets, second.targets]))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure chapters, all in one file; returns the exit code."""
    known = [chapter.name for chapter in comparable()]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.setups", description=__doc__)
    parser.add_argument("chapters", nargs="*", help=f"of {', '.join(known)} (default: all)")
    parser.add_argument("--profile", default="demo", help="demo (default) or small")
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of records")
    given = parser.parse_args(arguments)

    def work() -> None:
        for name in given.chapters:
            if name not in known:
                raise unknown("chapter", name, known)
        path = given.results / given.profile / FILE
        for chapter in comparable():
            if not given.chapters or chapter.name in given.chapters:
                _all_of(settings(chapter.model, chapter.dataset, given.profile), path)

    return exit_code(work)


def _all_of(given: Settings, path: Path) -> None:
    """What was not tried yet on a chapter."""
    name, data = f"{given.model}-{given.dataset}", splits(given)
    made = {
        "settings": dataclasses.asdict(given),
        "data": data.fingerprint,
        "test_examples": len(data.test),
    }
    made = json.loads(to_json(made))  # as a file gives it back
    facts = read_setups(path) or {
        "format": FORMAT, "profile": given.profile, "chapters": {},
    }  # fmt: skip
    found = facts["chapters"].setdefault(name, {**made, "tried": {}})
    if {key: found[key] for key in made} != made:
        raise ThermoError(
            f"{path} holds {name} with other settings or data: delete it, or name another folder "
            "with --results"
        )
    for setup in tqdm(setups(given), desc=name, unit="set-up"):
        if setup.words not in found["tried"]:
            found["tried"][setup.words] = measured(given, setup, data)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, to_json(facts) + "\n")


if __name__ == "__main__":
    sys.exit(main())
