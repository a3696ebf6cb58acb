"""The one error class of both packages, and what its messages are made of."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["NotFiniteError", "ThermoError", "nearest", "unknown"]


class ThermoError(ValueError):
    """A request that cannot be met; the message names what to change.

    It derives from :class:`ValueError`, so code that already catches that keeps working. The
    ``thermo`` command prints the message on one line and exits with code 2.
    """


class NotFiniteError(ThermoError):
    """Activations or scores that are NaN or infinite."""


def nearest(name: str, allowed: Iterable[str], *, n: int = 3) -> list[str]:
    """Names in `allowed` closest to `name`, best first.

    Parameters
    ----------
    name : str
        What was asked for.
    allowed : iterable of str
        What exists.
    n : int, default 3
        At most this many are returned.

    Examples
    --------
    >>> nearest("resnet", ["mlp", "resnet18", "vit"])
    ['resnet18']
    """
    return difflib.get_close_matches(str(name), list(allowed), n=n, cutoff=0.4)


def unknown(what: str, name: object, allowed: Iterable[str]) -> ThermoError:
    """Build the error for a name that does not exist.

    Parameters
    ----------
    what : str
        Kind of thing, in the singular: ``"model"``, ``"dataset"``.
    name : object
        What was asked for.
    allowed : iterable of str
        What exists.

    Returns
    -------
    ThermoError
        Ready to be raised.

    Examples
    --------
    >>> print(unknown("dataset", "cifar", ["cifar10", "yelp"]))
    unknown dataset 'cifar': did you mean 'cifar10'? Known: cifar10, yelp
    """
    names = list(allowed)
    close = nearest(str(name), names)
    hint = f" did you mean {' or '.join(map(repr, close))}?" if close else ""
    return ThermoError(f"unknown {what} {str(name)!r}:{hint} Known: {', '.join(names)}")
