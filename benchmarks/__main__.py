"""``python -m benchmarks``: measure chapters, one file each; finished chapters are kept."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from benchmarks.command import exit_code
from benchmarks.memory import peak_bytes
from benchmarks.methods import stored_renormalized
from companion.data.tensors import Examples, batches
from companion.pages.speed_files import FOLDER, FORMAT, GROWTH
from companion.runs.chapters import CHAPTERS
from companion.runs.experiment import Experiment, experiment
from companion.runs.provenance import provenance
from companion.runs.records import to_json
from companion.runs.run import Run
from companion.runs.settings import PROFILES, settings
from thermo_utils import critical_threshold, evaluate, full_evaluation, renormalized
from thermo_utils.clock import interleaved
from thermo_utils.errors import ThermoError, unknown
from thermo_utils.files import write_atomically
from thermo_utils.grids import FINER
from thermo_utils.sampling import sampled_renormalized

#: Bytes of activations that the stored method may keep; the number of examples follows.
STORED_BYTES = 256 << 20
#: Thresholds that are really swept for the cost of one in the full evaluation.
SWEPT = 3
#: Most of the test set that the sampled method may read.
TENTH = 0.1
#: Numbers of thresholds for the growth of cost; and parts of the examples.
COUNTS = (10, 50, 200, 1000)
PARTS = (0.25, 0.5, 1.0)
#: The chapter for which growth is measured: its full evaluation of 1,000 thresholds is bearable.
GROWING = "mlp-cifar10"


@dataclasses.dataclass(frozen=True)
class Options:
    """What a measurement depends on besides the machine.

    Attributes
    ----------
    profile : str
        Scale of networks and data.
    thresholds : int
        ``K``.
    repetitions : int
        Interleaved rounds.
    seconds : float
        Wanted duration of one unpruned pass; sets how many examples are taken.
    """

    profile: str
    thresholds: int
    repetitions: int
    seconds: float


class Case:
    """A trained chapter, cut to a number of examples that can be measured.

    Parameters
    ----------
    chapter : Experiment
        A trained chapter.
    options : Options
    """

    def __init__(self, chapter: Experiment, options: Options) -> None:
        self.chapter, self.options = chapter, options
        self.network, self.layers = chapter.network(), chapter.layers
        self.test = chapter.data().test
        self.batch_size = len(next(iter(chapter.test()))[1])
        self.device = next(self.network.parameters()).device
        self.fine = chapter.renormalized()
        self.examples = self._fitting()

    def grid(self, count: int) -> np.ndarray:
        """Evenly spaced thresholds up to the end of the chapter's grid, shape (count,)."""
        last = float(self.fine["tau"].iloc[-1])
        return np.linspace(last / count, last, count)

    def _fitting(self) -> int:
        """Examples for which a pass takes about as long as wanted and storing is possible."""
        probe = min(len(self.test), self.batch_size)
        some = self.data(probe)
        evaluate(self.network, some)
        started = time.perf_counter()
        evaluate(self.network, some)
        each = (time.perf_counter() - started) / probe
        bytes_each = 4 * self.activations_per_example
        most = min(self.options.seconds / each, STORED_BYTES / bytes_each, len(self.test))
        # Whole batches, or less than one.
        return int(most) if most < probe else int(most) // probe * probe

    @property
    def activations_per_example(self) -> float:
        """Nonzero activations per test example."""
        return float(self.fine.attrs["total"]) / len(self.test)

    def data(self, count: int) -> Any:
        """Batches of the first examples, as the chapter evaluates them."""
        inputs, targets = self.test[slice(count)]
        return batches(Examples(inputs, targets), self.batch_size)

    def tasks(self, count: int, thresholds: int, swept: int) -> dict[str, Any]:
        """The methods on the first examples; see :data:`companion.pages.speed.PROCEDURES`."""
        data, taus = self.data(count), self.grid(thresholds)
        some = self.grid(max(swept, 1))
        arguments = self.network, data, self.layers
        return {
            "plain": lambda: evaluate(self.network, data),
            "renormalized": lambda: renormalized(*arguments, taus, progress=False),
            "full": lambda: full_evaluation(*arguments, some, progress=False, reuse=False),
            "stored": lambda: stored_renormalized(*arguments, taus),
        }

    def sampled(self) -> Any:
        """The sampled curve of the whole test set, sought to within a step of the sweep's grid."""
        return sampled_renormalized(
            self.network,
            self.test,
            self.layers,
            self.fine["tau"].to_numpy(),
            tolerance=FINER,
            max_share=TENTH,
            batch_size=self.batch_size,
            seed=self.chapter.run.settings.seed,
            progress=False,
        )

    def measure(self) -> dict[str, Any]:
        """Times, memory and what the sample found; see :mod:`companion.pages.speed_files`."""
        o, n = self.options, self.examples
        for task in self.tasks(min(n, self.batch_size), 2, 1).values():
            task()  # compiled and warm
        tasks = self.tasks(n, o.thresholds, SWEPT)
        sampled: list[Any] = []
        tasks["sampled"] = lambda: sampled.append(self.sampled())
        seconds = interleaved(tasks, o.repetitions)
        memory = {name: peak_bytes(task, self.device) for name, task in tasks.items()}
        found, truth = sampled[0].attrs["tau"], critical_threshold(self.fine)
        return {
            "examples": n,
            "test_examples": len(self.test),
            "activations_per_example": self.activations_per_example,
            "swept": SWEPT,
            "seconds": seconds,
            "peak_bytes": memory,
            "sample": {
                "tau": found.tau if found else None,
                "exact_tau": truth.tau if truth else None,
                "step": float(self.chapter.grids[0][0]),
                "examples": sampled[0].attrs["examples"],
                "confidence": sampled[0].attrs["confidence"],
                "converged": sampled[0].attrs["converged"],
            },
        }

    def measure_growth(self) -> dict[str, Any]:
        """Times over the number of thresholds and of examples."""
        few = max(1, self.examples // 16)  # a thousand passes of them are bearable
        whole = len(self.test)
        by_thresholds = [self._round(few, count, count) for count in COUNTS]
        sizes = [max(1, int(part * whole)) for part in PARTS]
        by_examples = [self._round(n, self.options.thresholds, SWEPT) for n in sizes]
        return {
            "chapter": self.chapter.run.name,
            "swept": SWEPT,
            "by_thresholds": by_thresholds,
            "by_examples": by_examples,
        }

    def _round(self, examples: int, thresholds: int, swept: int) -> dict[str, Any]:
        tasks = self.tasks(examples, thresholds, swept)
        seconds = interleaved(tasks, self.options.repetitions)
        return {"thresholds": thresholds, "examples": examples, "seconds": seconds}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; returns the exit code."""
    options = _parser().parse_args(arguments)
    return exit_code(lambda: _run(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("chapters", nargs="*", help="such as mlp-cifar10 (default: all twenty)")
    parser.add_argument("--profile", default="demo", help="demo (default), small or paper")
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of records")
    parser.add_argument("--thresholds", type=int, default=50, help="K (default 50)")
    parser.add_argument("--repetitions", type=int, default=5, help="rounds (default 5)")
    parser.add_argument(
        "--seconds", type=float, default=0.5, help="length of an unpruned pass (default 0.5)"
    )
    parser.add_argument("--force", action="store_true", help="measure again what is there already")
    return parser


def _run(given: argparse.Namespace) -> None:
    names = [c.name for c in CHAPTERS]
    if given.profile not in PROFILES:
        raise unknown("profile", given.profile, PROFILES)
    for name in given.chapters:
        if name not in names:
            raise unknown("chapter", name, names)
    for name, least in (("thresholds", 2), ("repetitions", 1), ("seconds", 0.001)):
        if getattr(given, name) < least:
            raise ThermoError(f"--{name} must be {least} or more, got {getattr(given, name)}")
    options = Options(given.profile, given.thresholds, given.repetitions, given.seconds)
    folder = given.results / given.profile / FOLDER
    wanted = [c for c in CHAPTERS if not given.chapters or c.name in given.chapters]
    for chapter in tqdm(wanted, desc="chapters", unit="chapter"):
        files = {chapter.name: Case.measure}
        if chapter.name == GROWING:
            files[GROWTH] = Case.measure_growth
        todo = {
            name: measure
            for name, measure in files.items()
            if given.force or _is_due(folder / f"{name}.json", options)
        }
        if not todo:
            continue
        run = Run(settings(chapter.model, chapter.dataset, given.profile), given.results)
        run.check_sources()
        case = Case(experiment(run), options)
        for name, measure in todo.items():
            _write(folder / f"{name}.json", options, measure(case))


def _is_due(path: Path, options: Options) -> bool:
    """Whether something is to be measured; what was measured otherwise is not replaced unasked."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return True
    except ValueError as error:
        raise ThermoError(f"{path} is damaged: measure it again with --force") from error
    if kept.get("format") == FORMAT and kept.get("options") == dataclasses.asdict(options):
        return False
    raise ThermoError(f"{path} was measured with other options: replace it with --force")


def _write(path: Path, options: Options, measured: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "format": FORMAT,
        "options": dataclasses.asdict(options),
        **measured,
        "provenance": {**provenance(), "threads": torch.get_num_threads()},
    }
    write_atomically(path, to_json(content) + "\n")


if __name__ == "__main__":
    sys.exit(main())
