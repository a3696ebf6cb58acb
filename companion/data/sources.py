"""Where real data come from: the Hugging Face hub, or a local mirror laid out like it.

With ``THERMO_DATA=<folder>`` datasets are read from ``<folder>/uoft-cs/cifar10`` and so on, and
nothing is downloaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from companion.data.specs import DATASETS, DatasetSpec
from companion.mirror import mirror
from thermo_utils.errors import ThermoError

if TYPE_CHECKING:
    import datasets

__all__ = ["check_available", "load"]

#: Seconds to wait for the hub to answer.
HUB_TIMEOUT = 10.0


def check_available(dataset: str) -> None:
    """Refuse quickly if a real dataset cannot be had.

    Parameters
    ----------
    dataset : str
        One of `DATASETS`.

    Raises
    ------
    ThermoError
        If ``THERMO_DATA`` points nowhere or does not hold the dataset; without it, if the hub is
        out of reach and the dataset is not in the local cache.
    """
    import datasets

    spec = DATASETS[dataset]
    path = _where(spec)
    try:
        with _hub(path == spec.hub_id):
            datasets.load_dataset_builder(path)
    except Exception as error:
        raise _not_loaded(spec, path, error) from error


def _where(spec: DatasetSpec) -> str:
    """Folder or hub id to load from."""
    folder = mirror("THERMO_DATA", "uoft-cs/cifar10")
    if folder is None:
        return spec.hub_id
    if not (folder / spec.hub_id).is_dir():
        raise ThermoError(
            f"THERMO_DATA has no folder {spec.hub_id} for {spec.title}: put the dataset there, "
            "or unset THERMO_DATA to download it from the hub"
        )
    return str(folder / spec.hub_id)


def _not_loaded(spec: DatasetSpec, path: str, error: Exception) -> ThermoError:
    where = "the Hugging Face hub" if path == spec.hub_id else path
    return ThermoError(
        f"could not load {spec.title} from {where} ({type(error).__name__}): check the network, "
        "set THERMO_DATA to a local copy laid out by hub id, or use profile demo, which needs no "
        "data"
    )


@contextmanager
def _hub(needed: bool) -> Iterator[None]:
    """Talk to the hub if it answers; otherwise make do with the cache, without half a minute of
    retries and their account on the screen.
    """
    import datasets
    from huggingface_hub import HfApi, constants

    offline = constants.HF_HUB_OFFLINE
    if needed and not offline:
        try:
            HfApi().dataset_info("uoft-cs/cifar10", timeout=HUB_TIMEOUT)
        except Exception:
            offline = True
    before = constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = datasets.config.HF_HUB_OFFLINE = offline
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE = before


def load(spec: DatasetSpec) -> tuple[datasets.DatasetDict, str]:
    """All parts of a real dataset as they are stored.

    Parameters
    ----------
    spec : DatasetSpec
        One of `DATASETS`.

    Returns
    -------
    parts : DatasetDict
        With `spec.column` and a ``label`` of type ``ClassLabel``; images are decoded when read.
    source : str
        Hub id, and whether it came from the hub or a local mirror.

    Raises
    ------
    ThermoError
        If the dataset cannot be had, or is not the one the hub has under this name.
    """
    import datasets

    path = _where(spec)
    try:
        with _hub(path == spec.hub_id):
            parts = datasets.load_dataset(path)
    except Exception as error:  # the hub client raises a dozen kinds; one message serves them all
        raise _not_loaded(spec, path, error) from error
    missing = {"train", "test"} - set(parts)
    if missing or not {spec.column, "label"} <= set(parts["train"].column_names):
        raise ThermoError(
            f"{path} is not {spec.title} as on the hub: it needs train and test splits with "
            f"columns {spec.column!r} and 'label', it has {sorted(parts)} with "
            f"{next(iter(parts.values())).column_names}"
        )
    classes = range(len(spec.class_names))
    found = {label for part in parts.values() for label in part.unique("label")}
    if not found <= set(classes):
        raise ThermoError(
            f"{path} is not {spec.title} as on the hub: its labels must be 0 to {classes[-1]}, it "
            f"has {sorted(found - set(classes), key=str)[0]!r}"
        )
    # A copy may have been made without the hub's metadata.
    features = parts["train"].features
    if not isinstance(features["label"], datasets.ClassLabel):
        parts = parts.cast_column("label", datasets.ClassLabel(names=list(spec.class_names)))
    if spec.kind == "image" and not isinstance(features[spec.column], datasets.Image):
        parts = parts.cast_column(spec.column, datasets.Image())
    return parts, f"{spec.hub_id} ({'hub' if path == spec.hub_id else 'local mirror'})"
