"""A network's weights: told from others, kept in one step, and brought back."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from thermo_utils.errors import ThermoError
from thermo_utils.files import write_atomically

__all__ = ["Body", "body", "fingerprint", "load", "ready", "save"]


@dataclass(frozen=True)
class Body:
    """What another network of the same kind has learned, all but its head.

    Attributes
    ----------
    weights : mapping of str to Tensor
        On the CPU.
    head : str
        What the names of the weights begin with that are not among them.
    fingerprint : str
        Of the whole network they are from, as its record has it.
    """

    weights: Mapping[str, Tensor]
    head: str
    fingerprint: str

    def into(self, network: nn.Module) -> None:
        """Give a network these weights; its head stays as it is.

        Parameters
        ----------
        network : Module
            Changed in place.

        Raises
        ------
        ThermoError
            If it has other weights, or of other shapes.
        """
        own = {n: w for n, w in network.state_dict().items() if n.startswith(self.head)}
        try:
            network.load_state_dict({**own, **self.weights})
        except RuntimeError as error:  # lists every weight
            raise ThermoError(
                "the network to start from has weights of other names or shapes: give both the "
                "same options, or leave transfer out"
            ) from error


def body(network: nn.Module, head: str) -> Body:
    """What a network has learned, all but its head.

    Parameters
    ----------
    network : Module
        On any device.
    head : str
        What the names of the head's weights begin with.

    Returns
    -------
    Body
        A copy.

    Examples
    --------
    >>> network = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    >>> sorted(body(network, head="1.").weights)
    ['0.bias', '0.weight']
    """
    weights = {
        name: weight.detach().to("cpu", copy=True)
        for name, weight in network.state_dict().items()
        if not name.startswith(head)
    }
    return Body(weights, head, fingerprint(network))


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
