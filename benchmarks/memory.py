"""The memory that a task needs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

__all__ = ["peak_bytes"]

Task = Callable[[], Any]


def peak_bytes(task: Task, device: torch.device) -> int | None:
    """Most memory that a task holds beyond what was held before it.

    Parameters
    ----------
    task : callable
        Run once: on a CPU in a child process, so that nothing it leaves behind hides the need of
        the next.
    device : torch.device
        Where it computes.

    Returns
    -------
    int or None
        Bytes; None where the system does not tell (a CPU without Linux's ``/proc``).
    """
    if device.type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        task()
        return int(torch.cuda.max_memory_allocated() - before)
    if not Path("/proc/self/clear_refs").exists():
        return None
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, str(_peak_here(task)).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    return int(answer) if answer else None


def _peak_here(task: Task) -> int:
    """The same in this process, which must be one to throw away."""
    torch.set_num_threads(1)  # OpenMP's threads did not survive the fork
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115  no progress bars from in here
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = _status("VmRSS")
    task()
    return max(0, _status("VmHWM") - before)


def _status(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return 1024 * int(line.split()[1])
    raise OSError(f"/proc/self/status has no {field}")
