"""What goes wrong in somebody else's code, as one line that says where."""

from __future__ import annotations

import sysconfig
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from thermo_utils.errors import ThermoError

__all__ = ["called", "in_one_line"]

#: Folders of code that the user has not written: Python's, of packages, and this project's own.
OTHERS = (
    *(str(Path(sysconfig.get_path(kind))) for kind in ("stdlib", "purelib", "platlib")),
    *(str(Path(__file__).parents[2] / package) for package in ("companion", "thermo_utils")),
)
LONGEST = 300


@contextmanager
def in_one_line(what: str) -> Iterator[None]:
    """Turn whatever is raised inside into one error.

    Parameters
    ----------
    what : str
        What failed, as in ``"calling own.py:make"``.

    Raises
    ------
    ThermoError
        With the kind and words of what was raised, and the last place in the user's own files.
        A `ThermoError`, a missing package and an interrupt pass through.

    Examples
    --------
    >>> with in_one_line("the sum"):
    ...     1 / 0
    Traceback (most recent call last):
    thermo_utils.errors.ThermoError: the sum failed: ZeroDivisionError: division by zero
    """
    try:
        yield
    except ThermoError:
        raise
    except (Exception, SystemExit) as error:
        words = " ".join(str(error).split())
        words = words if len(words) <= LONGEST else f"{words[:LONGEST]}..."
        said = f"{type(error).__name__}: {words}" if words else type(error).__name__
        raise ThermoError(f"{what} failed{_place(error)}: {said}") from error


def called(maker: Callable[[], Any], reference: str) -> Any:
    """What a function of the user's returns.

    Parameters
    ----------
    maker : callable
        Takes nothing.
    reference : str
        Its name, for the message.

    Returns
    -------
    object

    Raises
    ------
    ThermoError
        As :func:`in_one_line`.
    """
    with in_one_line(f"calling {reference}"):
        return maker()


def _place(error: BaseException) -> str:
    """The last frame in a file of the user's."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(("<", *OTHERS))
    ]
    if not frames:
        return ""
    last = frames[-1]
    return f" in {Path(last.filename).name}, line {last.lineno}, in {last.name}"
