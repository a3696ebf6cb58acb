"""Wall times of several tasks, taken in turn."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from tqdm import tqdm

__all__ = ["interleaved"]


def interleaved(
    tasks: Mapping[str, Callable[[], Any]],
    repetitions: int,
    *,
    around: Callable[[str], AbstractContextManager[Any]] = nullcontext,
    progress: bool = True,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Time tasks in turn, so that a busy minute of the machine meets all of them.

    Parameters
    ----------
    tasks : mapping of str to callable
        Functions without arguments; each must wait for its device before it returns.
    repetitions : int
        Rounds. Every round runs each task once and begins with another one.
    around : callable, optional
        From a task's name to a context in which it runs; the clock does not see its ends.
    progress : bool, default True
        Show a progress bar.
    clock : callable, default `time.perf_counter`
        Seconds, as a float.

    Returns
    -------
    dict of str to list of float
        Seconds of each task, one per round.

    Examples
    --------
    >>> ticks = iter(range(100))
    >>> interleaved({"a": int, "b": int}, 2, progress=False, clock=lambda: float(next(ticks)))
    {'a': [1.0, 1.0], 'b': [1.0, 1.0]}
    """
    names = list(tasks)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    rounds = [names[i % len(names) :] + names[: i % len(names)] for i in range(repetitions)]
    steps = [name for order in rounds for name in order]
    for name in tqdm(steps, desc="measuring", unit="run", disable=not progress, leave=False):
        with around(name):
            started = clock()
            tasks[name]()
            seconds[name].append(clock() - started)
    return seconds
