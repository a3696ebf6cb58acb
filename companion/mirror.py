"""Local folders that stand in for the Hugging Face hub and are laid out like it."""

from __future__ import annotations

import os
from pathlib import Path

from thermo_utils.errors import ThermoError

__all__ = ["mirror"]


def mirror(variable: str, example: str) -> Path | None:
    """The local folder named by an environment variable, laid out like the hub, if any.

    Parameters
    ----------
    variable : str
        ``THERMO_DATA`` for data, ``THERMO_MODELS`` for checkpoints.
    example : str
        A hub id that may be in it, for the message.

    Returns
    -------
    Path or None
        None when the variable is not set.

    Raises
    ------
    ThermoError
        If it points to something that is no folder.

    Examples
    --------
    >>> mirror("THERMO_NOTHING", "uoft-cs/cifar10") is None
    True
    """
    value = os.environ.get(variable)
    if not value:
        return None
    folder = Path(value).expanduser()
    if not folder.is_dir():
        raise ThermoError(
            f"{variable} points to {value}, which is no folder: set it to a folder laid out by "
            f"hub id (such as <folder>/{example}), or unset it to download"
        )
    return folder
