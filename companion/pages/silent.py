"""What the paper leaves unsaid, and the code of its authors would settle."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence

from companion.data.partitions import split_in_words
from companion.data.specs import DATASETS
from companion.networks import NETWORKS, Network
from companion.pages.escape import in_html
from companion.pages.tables import html
from companion.pages.wording import listed
from thermo_utils.accuracy import MAX_DROP

__all__ = ["PROFILE", "silent_table"]

#: The profile that stands for the paper's set-up.
PROFILE = "paper"
#: How many training examples are held out, and at which length texts are cut;
#: :mod:`companion.data.splits` and :mod:`companion.data.text`, slow to load, have the numbers.
HELD_OUT, PERCENTILE = "a tenth", "95th"
#: Options of networks that are trained from scratch whose values are widths, in words.
WIDTHS = {
    "mlp": {"hidden": "hidden layers of"},
    "cnn": {"channels": "convolutions of", "hidden": "dense layers of"},
    "lstm": {"embedding": "embedding of", "hidden": "LSTM of", "widths": "classifier of"},
}


def silent_table() -> str:
    """Every choice that the paper leaves open, what it says of it, and what is done here.

    Returns
    -------
    str
        A table in HTML, made from the registry of networks and data.
    """
    rows = [[in_html(cell) for cell in row] for row in _rows()]
    return html(["Choice", "What the paper says", "What is done here"], rows, classes="table")


def _rows() -> Iterable[tuple[str, str, str]]:
    yield from ((f"Sizes of the {_title(name)}", *_sizes(name)) for name in WIDTHS)
    yield (
        "Which output of a layer is pruned",
        "after which layers; not whether after their activation, normalisation or dropout "
        "(Section 4.2)",
        f"{_readings()}; the page on how open details were chosen says why",
    )
    yield (
        "Weights to start from",
        "pretrained; no checkpoint is named, and the Vision Transformer is “lightweight”",
        _checkpoints(),
    )
    yield (
        "How much of a pretrained network is trained",
        "“No fine-tuning” (Section 4.3), and of the ViT the last four blocks and the head (Section "
        "4.2); of the others nothing",
        "of the ViT what is said, of the others everything",
    )
    yield (
        "Split of Flowers-102",
        "the official one, on which what is reported is out of reach",
        split_in_words(NETWORKS["mlp"].recipes["flowers102", PROFILE].split),
    )
    yield (
        "Validation examples",
        f"not said where there are no official ones ({_unvalidated()})",
        f"{HELD_OUT} of the training set, class by class, drawn with the seed of the run",
    )
    yield (
        "Test examples of a full evaluation",
        "not said; the times of Table 4 do not follow the number of examples",
        f"all of them at the profile {PROFILE}",
    )
    yield (
        "Length of texts",
        "percentiles of the training data, without a number",
        f"the {PERCENTILE} percentile",
    )
    yield ("Padding", "not said whether its activations count", "counted, unless a mask is named")
    yield (
        "Grid of thresholds",
        "a step and two ends; only those that the text happens to name",
        _grids(),
    )
    yield (
        "What N counts",
        "“the total number of activations before pruning”",
        "those that are not zero, the only reading that agrees with Table 1",
    )
    yield (
        "F where nothing survives",
        "not said",
        "undefined, as at τ = 0",
    )
    yield (
        "Rule for the critical threshold",
        "“the earliest point at which the curve exhibits a qualitative transition”; how large a "
        "transition must be is not said",
        "the first feature beyond counting noise; variants of the rule are shown on every chapter",
    )
    yield (
        "Where the accuracy gives way",
        "not said; its thresholds are read off by eye",
        f"the last threshold at which it has lost at most {MAX_DROP:.0%}, and other drops beside",
    )
    yield ("Seed", "“a fixed random seed”", "0, and as many more as records say")
    yield (
        "What is timed",
        "not said for single evaluations",
        "the passes through the network, without loading data or training",
    )


def _title(name: str) -> str:
    return NETWORKS[name].title


def _sizes(name: str) -> tuple[str, str]:
    """What the paper says of a network's sizes, and those of the network here."""
    said = {
        "mlp": "three hidden layers",
        "cnn": "three convolutions, then dense layers",
        "lstm": "an embedding, an LSTM, a classifier of three layers",
    }[name]
    options = inspect.signature(NETWORKS[name].make).parameters
    widths = [
        f"{words} {listed(_numbers(options[option].default))}"
        for option, words in WIDTHS[name].items()
    ]
    return f"{said}; no widths", ", ".join(widths)


def _numbers(value: int | Sequence[int]) -> list[str]:
    return [str(number) for number in ([value] if isinstance(value, int) else value)]


def _readings() -> str:
    count = sum(len(network.alternatives) for network in NETWORKS.values() if network.figures)
    return f"one reading of each, chosen among it and {count} others in all"


def _of_paper() -> list[Network]:
    return [network for network in NETWORKS.values() if network.figures]


def _checkpoints() -> str:
    found = {
        recipe.checkpoint: network.title
        for network in _of_paper()
        for (_, profile), recipe in network.recipes.items()
        if profile == PROFILE and recipe.checkpoint
    }
    return ", ".join(f"{checkpoint} ({title})" for checkpoint, title in found.items())


def _unvalidated() -> str:
    return listed([spec.title for spec in DATASETS.values() if not spec.sizes[1]])


def _grids() -> str:
    steps: dict[float, list[str]] = {}
    for network in _of_paper():
        for (data, profile), recipe in network.recipes.items():
            if profile == PROFILE and recipe.tau_step:
                where = steps.setdefault(recipe.tau_step, [])
                where.append(f"{network.title} on {DATASETS[data].title}")
    texts = []
    for step, where in sorted(steps.items()):
        networks = [n.title for n in _of_paper()]
        whole = [
            title
            for title in networks
            if sum(w.startswith(f"{title} on ") for w in where)
            == sum(len(n.figures) for n in _of_paper() if n.title == title)
        ]
        rest = [w for w in where if w.split(" on ")[0] not in whole]
        texts.append(f"{step:g} ({listed([*whole, *rest])})")
    return "steps of " + ", ".join(texts)
