"""A network's weights: told from others, kept in one step, and brought back."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import torch
from torch import nn

from thermo_utils.files import write_atomically

__all__ = ["fingerprint", "load", "ready", "save"]


def ready(network: nn.Module) -> nn.Module:
    """Make a network ready for evaluation.

    Parameters
    ----------
    network : Module
        Changed in place.

    Returns
    -------
    Module
        The same, in eval mode, on the GPU if there is one.
    """
    return network.eval().to("cuda" if torch.cuda.is_available() else "cpu")


def fingerprint(network: nn.Module) -> str:
    """What tells a network's weights from all others.

    Parameters
    ----------
    network : Module
        On any device.

    Returns
    -------
    str
        SHA-256 of names, types, shapes and values of its state, in hexadecimal.

    Examples
    --------
    >>> one, other = nn.Linear(2, 1), nn.Linear(2, 1)
    >>> fingerprint(one) == fingerprint(one), fingerprint(one) == fingerprint(other)
    (True, False)
    """
    found = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        found.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return found.hexdigest()


def save(network: nn.Module, path: Path) -> None:
    """Keep a network's weights, in one step.

    Parameters
    ----------
    network : Module
    path : Path
        The file; its folder must exist.
    """
    content = io.BytesIO()
    torch.save({name: weight.cpu() for name, weight in network.state_dict().items()}, content)
    write_atomically(path, content.getvalue())


def load(network: nn.Module, path: Path) -> None:
    """Bring a network's weights back, and make it ready for evaluation.

    Parameters
    ----------
    network : Module
        Of the same definition; changed in place.
    path : Path
        Written by :func:`save`. Nothing in it is run.
    """
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    ready(network)
