"""Where real data come from: the Hugging Face hub, or a local mirror laid out like it.

With ``THERMO_DATA=<folder>`` datasets are read from ``<folder>/uoft-cs/cifar10`` and so on, and
nothing is downloaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from companion.data.folder import check_folder, digest, read_folder
from companion.data.specs import DATASETS, DatasetSpec
from companion.data.stored import assembled, pieces
from companion.hub import cause, hub
from companion.mirror import mirror
from thermo_utils.errors import ThermoError

if TYPE_CHECKING:
    import datasets

__all__ = ["check_available", "files_digest", "load"]


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
    folder = _mirrored(spec)
    with _refusing(spec, folder):
        if folder is not None:
            check_folder(folder)
        else:
            with hub():
                datasets.load_dataset_builder(spec.hub_id)


def files_digest(dataset: str) -> str | None:
    """What tells the files of a local mirror from those of any other, without decoding them.

    Parameters
    ----------
    dataset : str
        One of `DATASETS`.

    Returns
    -------
    str or None
        See :func:`companion.data.folder.digest`; None where no mirror is named.

    Raises
    ------
    ThermoError
        If ``THERMO_DATA`` points nowhere or does not hold the dataset.
    """
    spec = DATASETS[dataset]
    folder = _mirrored(spec)
    if folder is None:
        return None
    with _refusing(spec, folder):
        return digest(folder)


def _mirrored(spec: DatasetSpec) -> Path | None:
    """Folder to load from, None for the hub."""
    folder = mirror("THERMO_DATA", "uoft-cs/cifar10")
    if folder is None:
        return None
    if not (folder / spec.hub_id).is_dir():
        raise ThermoError(
            f"THERMO_DATA has no folder {spec.hub_id} for {spec.title}: put the dataset there, "
            "or unset THERMO_DATA to download it from the hub"
        )
    return folder / spec.hub_id


@contextmanager
def _refusing(spec: DatasetSpec, folder: Path | None) -> Iterator[None]:
    """One message for the dozen kinds of errors that the libraries raise."""
    try:
        yield
    except ThermoError:
        raise
    except Exception as error:
        if folder is not None:
            raise ThermoError(
                f"could not load {spec.title} from {folder} ({cause(error)}): put files "
                "there that are laid out as on the hub, or unset THERMO_DATA to download them"
            ) from error
        raise ThermoError(
            f"could not load {spec.title} from the Hugging Face hub ({cause(error)}): "
            "check the network, set THERMO_DATA to a local copy laid out by hub id, or use profile "
            "demo, which needs no data"
        ) from error


def load(spec: DatasetSpec) -> tuple[datasets.DatasetDict, str]:
    """All parts of a real dataset as they are stored.

    Parameters
    ----------
    spec : DatasetSpec
        One of `DATASETS`.

    Returns
    -------
    parts : DatasetDict
        With `spec.column` and a ``label`` of type ``ClassLabel``, see
        :func:`companion.data.stored.assembled`. A local mirror is read anew every time.
    source : str
        Hub id, and whether it came from the hub or a local mirror.

    Raises
    ------
    ThermoError
        If the dataset cannot be had, is not the one the hub has under this name, or is damaged.
    """
    import datasets

    folder = _mirrored(spec)
    if folder is not None:
        with _refusing(spec, folder):
            stored = read_folder(folder, (spec.column, "label"))
        return assembled(spec, stored, str(folder)), f"{spec.hub_id} (local mirror)"
    with _refusing(spec, None), hub():
        parts = datasets.load_dataset(spec.hub_id)
    return assembled(spec, pieces(parts, spec.hub_id), spec.hub_id), f"{spec.hub_id} (hub)"
