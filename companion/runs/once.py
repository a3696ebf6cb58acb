"""Values that are made on first use, and only if they are needed."""

from __future__ import annotations

import ast
import functools
import hashlib
import inspect
import textwrap
from collections.abc import Callable
from typing import Any, Generic, TypeVar

__all__ = ["Once", "resolved"]

T = TypeVar("T")


class Once(Generic[T]):
    """A function without arguments that is called at most once; see :meth:`Run.once`.

    Parameters
    ----------
    make : callable
        Returns the value.
    checked : bool, default True
        Whether a training is held against the function's code, see :attr:`definition`.

    Examples
    --------
    >>> numbers = Once(lambda: [1, 2])
    >>> numbers() is numbers()
    True
    """

    def __init__(self, make: Callable[[], T], *, checked: bool = True) -> None:
        functools.update_wrapper(self, make)
        self._make, self._checked = make, checked
        self._made: list[T] = []
        self._finish: Callable[[T], object] | None = None

    def __call__(self) -> T:
        if not self._made:
            value = self._make()
            if self._finish is not None:
                self._finish(value)
            self._made.append(value)
        return self._made[0]

    def then(self, finish: Callable[[T], object]) -> None:
        """Finish the value with a function: now if it is made already, else when it is."""
        self._finish = finish
        if self._made:
            finish(self._made[0])

    @property
    def definition(self) -> str | None:
        """A digest of the function's code, without comments and layout; None if not checked."""
        if not self._checked:
            return None
        try:
            source = textwrap.dedent(inspect.getsource(self._make))
            tree = ast.dump(ast.parse(source))
        except (OSError, TypeError, SyntaxError):
            return None
        return hashlib.sha256(tree.encode()).hexdigest()[:16]


def resolved(given: Any) -> Any:
    """The value of a :class:`Once`; anything else stands for itself.

    Parameters
    ----------
    given : object

    Returns
    -------
    object

    Examples
    --------
    >>> resolved(Once(lambda: 1)), resolved(2)
    (1, 2)
    """
    return given() if isinstance(given, Once) else given
