"""Every setting of a run.

A run is described completely by its :class:`Settings`; what a stage of a run depends on is a part
of them, and that part, hashed, is the key under which its result is kept. Imports no torch.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from companion.data.partitions import OFFICIAL
from companion.networks import NETWORKS
from companion.runs.chapters import chapter
from companion.runs.overrides import (
    NONE,
    check_together,
    checked,
    for_checkpoint,
    in_words,
    instead,
)
from thermo_utils.errors import ThermoError, unknown

if TYPE_CHECKING:
    from companion.runs.records import Record

__all__ = ["ADDED", "PROFILES", "Settings", "overridden", "recorded", "settings"]

PROFILES: Mapping[str, str] = {
    "demo": "synthetic data, tiny networks, no downloads, seconds",
    "small": "real data, networks that train without a cluster",
    "paper": "real data in full, the paper's set-up, one GPU",
}

#: By stage. Raised when the meaning of a setting changes, or what the stage computes, so that
#: older results are not mistaken for new.
RECIPE_VERSION = {"train": 1, "renormalized": 2, "full": 2}
#: Settings that came later, with the value that says what was done before there was a choice. What
#: has this value stays out of a key, so that what was computed before is found.
ADDED: Mapping[str, Any] = {
    "split": OFFICIAL,
    "augment": False,
    "schedule": "constant",
    "transfer": None,
}
#: What all random generators involved take, also after it has been spread over epochs.
LARGEST_SEED = 2**31 - 1


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything a run depends on.

    Those of the registered networks are made by :func:`settings`, those of a network of one's own
    by hand.

    Attributes
    ----------
    model, dataset, profile, seed
        What is run, and the seed of weights, order, dropout and data split.
    train_size, validation_size, test_size : int or None
        Upper bounds on the parts of the data; None means all.
    epochs, batch_size, learning_rate, patience
        Training; `patience` epochs without better validation accuracy end it.
    split : str
        Which images are in which part, see :func:`companion.data.partitions.check_split`.
    augment : bool
        Images only: crop and flip the training images at random.
    schedule : str
        Of the learning rate, one of :data:`companion.runs.overrides.SCHEDULES`.
    transfer : str or None
        Start from what the same network has learned on this dataset, with the same profile and
        seed, all but its head.
    tau_step, tau_max : float or None
        The grid of the full evaluation. None: chosen from the spectrum of the activations.
    tokenizer, max_length : str or None, int or None
        Texts only, see :func:`companion.data.text.text_splits`.
    checkpoint : str or None
        Pretrained weights, by hub id or folder.
    precision : str
        Lightning's name, such as ``"32-true"`` or ``"16-mixed"``.
    options : dict
        Options of the network.
    differs : tuple of str
        What differs from the paper's set-up, in words.

    Examples
    --------
    >>> own = Settings(
    ...     model="mine", dataset="cifar10", profile="demo", seed=0, epochs=3, batch_size=64
    ... )
    >>> own.sizes
    (None, None, None)
    """

    model: str
    dataset: str
    profile: str
    seed: int
    train_size: int | None = None
    validation_size: int | None = None
    test_size: int | None = None
    epochs: int
    batch_size: int
    learning_rate: float = 0.001
    patience: int = 3
    split: str = OFFICIAL
    augment: bool = False
    schedule: str = "constant"
    transfer: str | None = None
    tau_step: float | None = None
    tau_max: float | None = None
    tokenizer: str | None = None
    max_length: int | None = None
    checkpoint: str | None = None
    precision: str = "32-true"
    options: dict[str, Any] = field(default_factory=dict)
    differs: tuple[str, ...] = ()

    @property
    def synthetic(self) -> bool:
        """Whether the data are generated."""
        return self.profile == "demo"

    @property
    def sizes(self) -> tuple[int | None, int | None, int | None]:
        """Upper bounds on training, validation and test examples; None means all."""
        return self.train_size, self.validation_size, self.test_size

    @property
    def network_options(self) -> dict[str, Any]:
        """What the network is made with: its options, and the checkpoint if there is one."""
        return self.options | ({} if self.checkpoint is None else {"checkpoint": self.checkpoint})

    @property
    def source(self) -> Settings | None:
        """Settings of the run whose weights this one starts from; None if there is none."""
        if self.transfer is None:
            return None
        return settings(self.model, self.transfer, self.profile, self.seed)

    def key(self, stage: str) -> str:
        """Key of a stage: a hash of all settings its result depends on.

        Parameters
        ----------
        stage : {"train", "renormalized", "full"}
            The stage.

        Returns
        -------
        str
            Sixteen hexadecimal digits.
        """
        fields = dataclasses.asdict(self)
        source = self.source
        ignored = {"differs"} | ({"tau_step", "tau_max"} if stage == "train" else set())
        ignored |= {name for name, usual in ADDED.items() if fields[name] == usual}
        relevant = {name: value for name, value in fields.items() if name not in ignored}
        if source is not None:  # another training there is another one here
            relevant["source"] = source.key("train")
        text = json.dumps([RECIPE_VERSION[stage], stage, relevant], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def settings(
    model: str, dataset: str, profile: str = "demo", seed: int = 0, **overrides: Any
) -> Settings:
    """Settings of a run.

    Parameters
    ----------
    model, dataset : str
        Short names, see :func:`companion.runs.chapters.chapter`.
    profile : {"demo", "small", "paper"}, default "demo"
        The scale.
    seed : int, default 0
        Zero or more.
    **overrides
        Settings to change, see :data:`companion.runs.overrides.OVERRIDES`; None leaves the
        registered value, transfer ``"none"`` takes none, and a size ``"all"`` sets no bound.

    Returns
    -------
    Settings

    Raises
    ------
    ThermoError
        If a name is unknown, a value has the wrong type or range, a checkpoint is given to a
        network that takes none, or something made for images to a network that reads texts; if
        there is nothing to transfer from.

    Examples
    --------
    >>> settings("mlp", "cifar10", "small").batch_size
    64
    >>> settings("mlp", "cifar10", epochs=2).epochs
    2
    """
    chapter(model, dataset)
    if profile not in PROFILES:
        raise unknown("profile", profile, PROFILES)
    if type(seed) is not int or not 0 <= seed <= LARGEST_SEED:
        raise ThermoError(f"seed must be a whole number from 0 to {LARGEST_SEED}, got {seed!r}")
    network = NETWORKS[model]
    if (dataset, profile) not in network.recipes:
        known = [p for p in PROFILES if (dataset, p) in network.recipes]
        raise ThermoError(
            f"{model} has no recipe for {dataset} at profile {profile}: take {' or '.join(known)}"
        )
    recipe = network.recipes[dataset, profile]
    changed = {name: checked(name, value) for name, value in overrides.items() if value is not None}
    if "checkpoint" in changed and not network.pretrained:
        others = ", ".join(n.name for n in NETWORKS.values() if n.pretrained)
        raise ThermoError(
            f"{network.title} takes no checkpoint: leave it out, or choose one of {others}"
        )
    registered = {f.name: getattr(recipe, f.name) for f in dataclasses.fields(recipe)}
    if changed.get("checkpoint", recipe.checkpoint) != recipe.checkpoint:
        registered |= for_checkpoint(changed["checkpoint"], recipe)
    result = Settings(
        model=model, dataset=dataset, profile=profile, seed=seed, **(registered | changed)
    )
    if result.transfer == NONE:
        result = dataclasses.replace(result, transfer=None)
    check_together(result, network)
    before = {f.name: f.default for f in dataclasses.fields(Settings)} | registered
    notes = (*in_words(result, recipe), *instead(changed, before))
    return dataclasses.replace(result, differs=(*result.differs, *notes))


def overridden(given: Settings) -> dict[str, Any]:
    """What of some settings differs from the registered recipe.

    Parameters
    ----------
    given : Settings
        Of a registered network or of another.

    Returns
    -------
    dict
        Values by name, without the remarks; empty where there is no recipe to differ from.

    Examples
    --------
    >>> overridden(settings("mlp", "cifar10", epochs=2)), overridden(settings("mlp", "cifar10"))
    ({'epochs': 2}, {})
    """
    network = NETWORKS.get(given.model)
    if network is None or (given.dataset, given.profile) not in network.recipes:
        return {}
    recipe = dataclasses.asdict(settings(given.model, given.dataset, given.profile, given.seed))
    found = dataclasses.asdict(given)
    return {k: v for k, v in found.items() if k != "differs" and v != recipe[k]}


def recorded(record: Record) -> Settings:
    """The settings a record was made with.

    Parameters
    ----------
    record : Record

    Returns
    -------
    Settings
    """
    found = record.result["settings"]
    known = {f.name: found[f.name] for f in dataclasses.fields(Settings)}
    return Settings(**(known | {"differs": tuple(found["differs"])}))
