"""The pruned network to keep, and its threshold."""

from __future__ import annotations

import io
from pathlib import Path

import torch
from torch import nn

from thermo_utils.errors import ThermoError
from thermo_utils.files import write_atomically
from thermo_utils.kept import prune, unprune
from thermo_utils.saving import save_safe
from thermo_utils.search import SafeThreshold

__all__ = ["keep", "rehearse"]


def rehearse(network: nn.Module, layers: list[str]) -> None:
    """Refuse a network that could not be kept, before it has been analysed for hours.

    Parameters
    ----------
    network : Module
        Comes back as it was.
    layers : list of str
        What is to be pruned.

    Raises
    ------
    ThermoError
        As :func:`keep`.
    """
    try:
        _pickled(prune(network, layers, 1.0))
    finally:
        unprune(network)


def keep(network: nn.Module, layers: list[str], safe: SafeThreshold, file: Path) -> None:
    """Prune a network for good and write it to a file, with its threshold as JSON beside it.

    Parameters
    ----------
    network : Module
        Changed in place.
    layers : list of str
        What to prune.
    safe : SafeThreshold
        At which threshold.
    file : Path
        ``torch.load(file, weights_only=False)`` reads it where the network's classes can be
        imported.

    Raises
    ------
    ThermoError
        With nothing written: if the network cannot be pickled.
    """
    pruned = prune(network, layers, safe.tau).eval().cpu()
    content = _pickled(pruned)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, content)
    save_safe(safe, file.with_suffix(".json"))


def _pickled(pruned: nn.Module) -> bytes:
    content = io.BytesIO()
    try:
        torch.save(pruned, content)
    except Exception as error:  # classes within functions, lambdas, open files
        raise ThermoError(
            f"the pruned network cannot be pickled ({type(error).__name__}: {error}): define its "
            "classes and functions at the top of a file, or leave --keep out"
        ) from error
    return content.getvalue()
