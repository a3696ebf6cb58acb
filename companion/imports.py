"""Imports that do not look for garbage in what is none, then or later."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["uncollected"]


@contextmanager
def uncollected() -> Iterator[None]:
    """Leave cycles of objects alone inside the block, and what it has made from then on.

    PyTorch and Lightning make a million objects as they are imported, and all of them stay: a third
    of the time would go into looking through them again and again, and a tenth of a demo chapter's
    into doing so later. Where nothing new was imported, nothing is left alone later: what was
    garbage by then would stay, too.

    Examples
    --------
    >>> import gc
    >>> with uncollected():
    ...     gc.isenabled()
    False
    """
    collected, before = gc.isenabled(), len(sys.modules)
    gc.disable()
    try:
        yield
    finally:
        if len(sys.modules) > before:
            gc.freeze()
        if collected:
            gc.enable()
