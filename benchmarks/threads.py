"""``python -m benchmarks.threads``: what counting costs with one thread and with torch's default.

The networks of all chapters at the profile ``small``, and four that are none of the book's in both
memory layouts, with random weights on generated data: nothing is trained or loaded. Run it on an
otherwise idle machine; it takes about a quarter of an hour, goes on where it was stopped, and
writes ``results/threads.json``, which the page *Speed* of the book shows.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks import costs, reuse
from benchmarks.command import exit_code, in_parts
from benchmarks.costs import Costs, untrained
from benchmarks.reuse import Reuse
from companion.data.specs import DATASETS
from companion.data.tensors import evaluation_batches, image_splits
from companion.networks import NETWORKS, build
from companion.pages.threads import FILE, FORMAT, check
from companion.runs.chapters import CHAPTERS
from companion.runs.provenance import provenance
from companion.runs.records import to_json
from companion.runs.settings import settings
from thermo_utils import evaluate
from thermo_utils.clock import interleaved
from thermo_utils.errors import ThermoError
from thermo_utils.files import digest, write_atomically
from thermo_utils.hooks import ActivationHooks

__all__ = ["Case", "cases", "main", "measure"]

#: Thresholds of the renormalized pass, and how many of them the full evaluation sweeps.
TAUS, SWEPT = np.linspace(0.02, 1.0, 50), 2
#: Examples that are generated; a pass takes as many as last about as long as it is to.
EXAMPLES = 512
#: In place of the checkpoint of BERT's recipe, networks of its shape.
MINILM: dict[str, Any] = {
    "hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12,
    "intermediate_size": 1536,
}  # fmt: skip
#: Networks that nothing here was made for, with the outputs of these modules.
OTHERS = ("mobilenet_v2", "shufflenet_v2_x1_0", "resnet18", "bert")
RELUS = (nn.ReLU, nn.ReLU6)
#: Where finished cases wait for the others, among the results.
WORK = ".work/threads.json"
#: Whose code decides on what is measured.
SOURCES = (Path(__file__), Path(costs.__file__), Path(reuse.__file__))


@dataclasses.dataclass(frozen=True)
class Case:
    """A network with something to read.

    Attributes
    ----------
    network : Module
        In eval mode.
    data : sequence
        Batches.
    layers : sequence of str
        Whose outputs are counted.
    """

    network: nn.Module
    data: Sequence[Any]
    layers: Sequence[str]


def of_chapter(model: str, dataset: str) -> Case:
    """The network of a chapter, untrained, on generated data of the real size."""
    s, registered = settings(model, dataset, "small"), NETWORKS[model]
    sizes = (8, 8, EXAMPLES)
    if DATASETS[dataset].kind == "image":
        data = image_splits(dataset, synthetic=True, sizes=sizes, seed=0)
    else:
        from companion.data.text import text_splits

        data = text_splits(
            dataset, synthetic=True, sizes=sizes, seed=0, tokenizer="wordpiece",
            max_length=s.max_length,
        )  # fmt: skip
    options = MINILM if s.checkpoint else s.options
    network = build(model, data.shape, **options).eval()
    return Case(network, list(evaluation_batches(data.test, s.batch_size)), registered.layers)


def of_others(name: str, channels_last: bool) -> Case:
    """A network of torchvision's or transformers', with images of 64 x 64 or texts of 128."""
    targets = torch.zeros(64, dtype=torch.int64)
    if name == "bert":
        from transformers import BertConfig, BertForSequenceClassification

        network: nn.Module = BertForSequenceClassification(BertConfig(**MINILM))
        texts = [torch.randint(1000, (64, 128)) for _ in range(2)]
        return Case(network.eval(), [(x, targets) for x in texts], ["*.intermediate"])
    import torchvision

    network = getattr(torchvision.models, name)(num_classes=10).eval()
    images = [torch.randn(64, 3, 64, 64) for _ in range(8)]
    if channels_last:
        network = network.to(memory_format=torch.channels_last)
        images = [x.contiguous(memory_format=torch.channels_last) for x in images]
    layers = [n for n, module in network.named_modules() if isinstance(module, RELUS)]
    return Case(network, [(x, targets) for x in images], layers)


def cases() -> dict[str, Callable[[], Case]]:
    """Makers of all that is measured, by name; of chapters it is theirs."""
    found: dict[str, Callable[[], Case]] = {
        chapter.name: partial(of_chapter, chapter.model, chapter.dataset) for chapter in CHAPTERS
    }
    for name in OTHERS:
        for layout in ("contiguous", "channels last")[: 1 if name == "bert" else 2]:
            found[f"{name}, {layout}"] = partial(of_others, name, layout == "channels last")
    return found


def measure(case: Case, threads: Sequence[int], seconds: float, repetitions: int) -> dict[str, Any]:
    """Plain pass, a hook that sums, RFE, FE and one threshold, in turn, for each number of threads.

    Parameters
    ----------
    case : Case
    threads : sequence of int
        Numbers of torch's threads.
    seconds : float
        Wanted duration of a plain pass with the most of them.
    repetitions : int
        Rounds.

    Returns
    -------
    dict
        ``seconds`` by number of threads and task, ``activations`` and ``examples`` of a pass, and
        ``before``: which share of a pass is over when the first activation is seen, in every round;
        ``kept``: what is not computed again for another threshold.
    """
    data = list(_fitting(case, max(threads), seconds))
    timed = Costs(case.network, data, case.layers, TAUS, SWEPT)
    again = Reuse(case.network, data, case.layers, float(TAUS[0]))
    tasks = {**timed.tasks, **again.tasks}

    def with_threads(number: int, task: Callable[[], Any]) -> Callable[[], None]:
        def run() -> None:
            torch.set_num_threads(number)
            task()

        return run

    before = torch.get_num_threads()
    todo = {
        f"{number} {name}": with_threads(number, task)
        for number in threads
        for name, task in tasks.items()
    }
    try:
        with untrained():
            interleaved(todo, 1, progress=False)  # compiled and warm
            found = interleaved(todo, repetitions, progress=False)
    finally:
        torch.set_num_threads(before)
    return {
        "seconds": {
            str(number): {name: found[f"{number} {name}"] for name in tasks} for number in threads
        },
        "before": [_before(case, data) for _ in range(repetitions)],
        "kept": again.kept,
        "activations": timed.activations,
        "examples": sum(len(targets) for _, targets in data),
    }


def _before(case: Case, data: Sequence[Any]) -> float:
    """Share of a pass before the first pruned activation, which is the same at all thresholds."""
    waited, whole = 0.0, 0.0
    for batch in data:
        first: list[float] = []

        def see(_: str, activations: torch.Tensor, first: list[float] = first) -> None:
            if not first:
                first.append(time.perf_counter())

        with ActivationHooks(case.network, case.layers, see):
            started = time.perf_counter()
            evaluate(case.network, [batch])
            ended = time.perf_counter()
        waited += first[0] - started
        whole += ended - started
    return waited / whole


def _fitting(case: Case, threads: int, seconds: float) -> Iterator[Any]:
    """So many of the batches that a plain pass takes about as long as wanted."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        evaluate(case.network, case.data[:1])
        left = seconds
        for batch in case.data:
            yield batch
            started = time.perf_counter()
            evaluate(case.network, [batch])
            left -= time.perf_counter() - started
            if left <= 0:
                break
    finally:
        torch.set_num_threads(before)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure everything and write it down; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.threads", description=__doc__)
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of records")
    parser.add_argument("--seconds", type=float, default=0.5, help="of a plain pass (default 0.5)")
    parser.add_argument("--repetitions", type=int, default=5, help="rounds (default 5)")
    parser.add_argument("--force", action="store_true", help="measure again what is there already")
    given = parser.parse_args(arguments)
    return exit_code(lambda: print(f"measured: {_measured(given)}"))


def _measured(given: argparse.Namespace) -> Path:
    if not given.results.is_dir():
        raise ThermoError(f"there is no folder {given.results}: make it, or name another")
    if given.repetitions < 2 or not given.seconds > 0:
        raise ThermoError("--repetitions must be 2 or more, and --seconds more than 0")
    path = given.results / FILE
    if path.exists() and not given.force:
        raise ThermoError(f"{path} is there already: --force measures it again")
    most = torch.get_num_threads()
    if most == 1:
        raise ThermoError(
            "torch's default is one thread here: leave OMP_NUM_THREADS unset, on a machine of "
            "several cores"
        )
    made = {
        "sources": {path.name: digest(path) for path in SOURCES},
        "provenance": provenance(), "threads": [1, most],
        "options": {"seconds": given.seconds, "repetitions": given.repetitions},
        "thresholds": len(TAUS), "passes": SWEPT + 1,
    }  # fmt: skip
    made = json.loads(to_json(made))
    kept = given.results / WORK
    kept.parent.mkdir(exist_ok=True)
    load = os.getloadavg()[0]

    def part(make: Callable[[], Case]) -> dict[str, Any]:
        torch.manual_seed(0)
        return measure(make(), (1, most), given.seconds, given.repetitions)

    todo = {name: partial(part, make) for name, make in cases().items()}
    done = in_parts(todo, kept, made, desc="networks", unit="network")
    facts = {
        "format": FORMAT, **made, "date": datetime.date.today().isoformat(), "load": load,
        "cases": done,
    }  # fmt: skip
    text = to_json(facts) + "\n"
    check(json.loads(text), path)
    write_atomically(path, text)
    kept.unlink(missing_ok=True)
    return path


if __name__ == "__main__":
    sys.exit(main())
