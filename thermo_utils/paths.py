"""Where in a network the computation is, while it runs."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, Self

from torch import nn

__all__ = ["Paths", "site_of"]


class Paths:
    """The path of the module whose ``forward`` is running, inside a ``with`` block.

    Parameters
    ----------
    model : Module
        The network; it is called by the user, inside the block.

    Attributes
    ----------
    ran : dict of str to None
        Paths of the modules that were called, in the order of their first calls.

    Examples
    --------
    >>> import torch
    >>> with Paths(nn.Sequential(nn.ReLU())) as paths:
    ...     _ = paths.model(torch.ones(2))
    >>> list(paths.ran)
    ['', '0']
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.ran: dict[str, None] = {}
        self._running: list[tuple[str, dict[str, int]]] = []
        self._undo = ExitStack()

    def __enter__(self) -> Self:
        self.ran, self._running = {}, []
        with ExitStack() as undo:
            for name, module in self.model.named_modules():
                undo.callback(module.register_forward_pre_hook(self._begin(name)).remove)
                undo.callback(module.register_forward_hook(self._end, always_call=True).remove)
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._undo.close()

    def inside(self) -> tuple[str, dict[str, int]]:
        """The path, ``""`` for the model itself, and a dict that lives as long as this call."""
        return self._running[-1] if self._running else ("", {})

    def _begin(self, name: str) -> Any:
        def begin(module: nn.Module, args: Any) -> None:
            self.ran[name] = None
            self._running.append((name, {}))

        return begin

    def _end(self, module: nn.Module, args: Any, output: Any) -> None:
        if self._running:
            self._running.pop()


def site_of(path: str, function: str, number: int) -> str:
    """Name of the site of a function's call.

    Parameters
    ----------
    path : str
        Of the module in whose ``forward`` it stands; ``""`` for the model itself.
    function : str
        Name of the function.
    number : int
        1 for the first call in that ``forward``.

    Returns
    -------
    str

    Examples
    --------
    >>> site_of("layers.0", "relu", 1), site_of("", "gelu", 2)
    ('layers.0.relu()', 'gelu()#2')
    """
    call = f"{path}.{function}()" if path else f"{function}()"
    return call if number == 1 else f"{call}#{number}"
