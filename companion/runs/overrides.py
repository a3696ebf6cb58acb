"""What of a registered recipe a run may change, and how that is said.

Imports no torch.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from companion.data.partitions import OFFICIAL, check_split, split_in_words
from companion.data.specs import DATASETS
from companion.networks import NETWORKS, Network, Recipe
from companion.networks.network import FINE_TUNING_RATE, FROM_SCRATCH
from thermo_utils.errors import ThermoError, unknown

if TYPE_CHECKING:
    from companion.runs.settings import Settings

__all__ = [
    "ALL", "BOUNDS", "NONE", "OVERRIDES", "PRECISIONS", "SCHEDULES", "check_together", "checked",
    "for_checkpoint", "in_words", "instead",
]  # fmt: skip

#: Settings a run may change, with their type and the least value of numbers.
OVERRIDES: Mapping[str, tuple[type, int]] = {
    "train_size": (int, 1),
    "validation_size": (int, 1),
    "test_size": (int, 1),
    "epochs": (int, 1),
    "batch_size": (int, 1),
    "learning_rate": (float, 0),
    "patience": (int, 1),
    "split": (str, 0),
    "augment": (bool, 0),
    "schedule": (str, 0),
    "transfer": (str, 0),
    "tau_step": (float, 0),
    "tau_max": (float, 0),
    "max_length": (int, 2),
    "tokenizer": (str, 0),
    "checkpoint": (str, 0),
    "precision": (str, 0),
}

#: How the learning rate goes on: as it is, or along half a cosine to zero at the last step that
#: there can be.
SCHEDULES = ("constant", "cosine")
#: In place of a dataset: no transfer where the recipe has one.
NONE = "none"
#: In place of the bound on a part of the data: none, where the recipe has one.
ALL = "all"
#: The settings that are such bounds.
BOUNDS = ("train_size", "validation_size", "test_size")

#: Lightning's names of number formats in training.
PRECISIONS = ("32-true", "16-mixed", "bf16-mixed", "16-true", "bf16-true", "64-true")
#: Settings that the paper has one value of, so that others say themselves how they differ.
WORDED = ("split", "augment", "schedule", "transfer")
#: Remarks of a recipe that stay true whatever the network starts from.
LASTING = re.compile(r"[\d,]+ .*|at most \d+ epochs|patience \d+")


def checked(name: str, value: Any) -> Any:
    """Refuse a value that a setting cannot have.

    Parameters
    ----------
    name : str
        One of `OVERRIDES`.
    value : object
        What it is to be.

    Returns
    -------
    object
        The same; a whole number as a float where that is the type, None for `ALL`.

    Raises
    ------
    ThermoError
        If there is no such setting, or the value is of another type or out of range.

    Examples
    --------
    >>> checked("learning_rate", 1)
    1.0
    """
    if name not in OVERRIDES:
        raise unknown("parameter", name, ["dataset", "profile", "seed", *OVERRIDES])
    kind, least = OVERRIDES[name]
    if value == ALL and name in BOUNDS:
        return None
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not kind:
        raise ThermoError(f"{name} must be of type {kind.__name__}, got {value!r}")
    if name == "precision" and value not in PRECISIONS:
        raise unknown("precision", value, PRECISIONS)
    if name == "schedule" and value not in SCHEDULES:
        raise unknown("schedule", value, SCHEDULES)
    if name == "split" and isinstance(value, str):
        check_split(value)
    if isinstance(value, float) and not least < value < math.inf:
        raise ThermoError(f"{name} must be finite and more than {least:g}, got {value!r}")
    if isinstance(value, int) and value < least:
        raise ThermoError(f"{name} must be {least:g} or more, got {value!r}")
    return value


def check_together(given: Settings, network: Network) -> None:
    """Refuse settings that do not fit to the data, to the network or to each other.

    Parameters
    ----------
    given : Settings
        Of a registered network.
    network : Network
        That network.

    Raises
    ------
    ThermoError
        If something for images is asked of texts, there is nothing to transfer from or no network
        that could, or one of `tau_step` and `tau_max` is missing or they are in the wrong order.
    """
    if DATASETS[given.dataset].kind != "image":
        unusual = {"split": given.split != OFFICIAL, "augment": given.augment}
        for name in filter(unusual.get, unusual):
            raise ThermoError(
                f"{name} is for images, and {DATASETS[given.dataset].title} holds texts: leave it "
                "out"
            )
    if given.transfer is not None:
        _check_transfer(given, given.transfer, network)
    if given.tau_max is not None and given.tau_step is None:
        raise ThermoError("tau_max needs tau_step: give both, or neither for an automatic grid")
    if given.tau_step is not None and given.tau_max is None:
        raise ThermoError("tau_step needs tau_max: give both, or neither for an automatic grid")
    if given.tau_step is not None and given.tau_step > (given.tau_max or 0):
        raise ThermoError(f"tau_step {given.tau_step} is larger than tau_max {given.tau_max}")


def _check_transfer(given: Settings, source: str, network: Network) -> None:
    if not network.head:
        others = " or ".join(n.name for n in NETWORKS.values() if n.head)
        raise ThermoError(
            f"{network.title} cannot start from what it learned on other data, its weights fit one "
            f"shape of inputs: leave transfer out, or take {others}"
        )
    if given.checkpoint is not None:
        raise ThermoError(
            f"a network starts from one place, not from {given.checkpoint} and {source}: "
            "leave checkpoint or transfer out"
        )
    known = [d for d, profile in network.recipes if profile == given.profile and d != given.dataset]
    if source not in known:
        raise ThermoError(
            f"{network.title} has nothing to transfer from {source} to {given.dataset} at "
            f"profile {given.profile}: take {' or '.join(known) or 'another profile'}"
        )


def in_words(given: Settings, recipe: Recipe) -> list[str]:
    """How the data and the training of a run differ from the paper's.

    Parameters
    ----------
    given : Settings
        Of the run.
    recipe : Recipe
        What is registered for it.

    Returns
    -------
    list of str
        On the settings whose usual value is the paper's, whoever chose another.
    """
    words = []
    if given.transfer is not None:
        title = DATASETS[given.transfer].title
        words.append(f"started from its own {title} training instead of ImageNet weights")
    elif recipe.transfer is not None and given.checkpoint is None:
        words.append(FROM_SCRATCH)
    if given.split != OFFICIAL:
        words.append(split_in_words(given.split))
    if given.augment:
        words.append("random crops and flips")
    if given.schedule == "cosine":
        words.append("learning rate falls along a cosine")
    return words


def instead(changed: Mapping[str, Any], before: Mapping[str, Any]) -> list[str]:
    """What was changed of a recipe, and from what.

    Parameters
    ----------
    changed, before : mapping
        Values by name of setting.

    Returns
    -------
    list of str
        Without what :func:`in_words` says.

    Examples
    --------
    >>> instead({"epochs": 3, "test_size": 5}, {"epochs": 2, "test_size": None})
    ['epochs 3 instead of 2', 'test_size 5 instead of all']
    """
    return [
        f"{name} {_shown(name, value)} instead of {_shown(name, before[name])}"
        for name, value in changed.items()
        if name not in ("checkpoint", *WORDED) and value != before[name]
    ]


def _shown(name: str, value: Any) -> Any:
    """A value in words."""
    if value is not None:
        return value
    return "all" if name.endswith("_size") else "an automatic one"


def for_checkpoint(checkpoint: str, recipe: Recipe) -> dict[str, Any]:
    """What changes when a network is to start from another checkpoint, or from one at all.

    Parameters
    ----------
    checkpoint : str
        Another than the recipe's.
    recipe : Recipe
        What is registered.

    Returns
    -------
    dict
        Settings by name, in place of the recipe's.
    """
    weights = f"weights of {checkpoint}"
    if recipe.checkpoint is not None:
        kept = [note for note in recipe.differs if not note.startswith("checkpoint ")]
        return {"differs": (weights, *kept)}
    return {
        "transfer": None,
        "options": {},  # sizes and tokenizer are the checkpoint's own
        "tokenizer": None,
        "learning_rate": FINE_TUNING_RATE,
        "differs": (
            weights,
            f"learning rate {FINE_TUNING_RATE:g}",
            *filter(LASTING.fullmatch, recipe.differs),
        ),
    }
