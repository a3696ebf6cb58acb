"""Ending a command on a signal: what it started ends with it, and one line says so.

An exception raised from a signal handler would surface wherever the program happens to be: inside
an event loop, a callback or an import, each of which prints it or swallows it. So the handler
itself clears up and leaves. That is safe at any moment, for files appear whole or not at all.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from tempfile import TemporaryDirectory
from types import FrameType
from typing import NoReturn

try:
    import psutil
except ModuleNotFoundError:  # installed with all that starts processes
    psutil = None

__all__ = ["INTERRUPTED", "MESSAGE", "end_on_signals", "scratch_folder"]

MESSAGE = "thermo: interrupted; the same command goes on from here"
#: Exit code, as shells have it for Ctrl-C.
INTERRUPTED = 130
#: Ctrl-C, a request to end such as a scheduler's, and a terminal that was closed.
SIGNALS = tuple(s for s in signal.Signals if s.name in {"SIGINT", "SIGTERM", "SIGHUP"})

_folders: set[str] = set()


def end_on_signals() -> None:
    """From now on, end this process and all that it started when a signal asks for it.

    For the main thread of a process that belongs to one command. A signal that is ignored, as
    ``nohup`` arranges it, stays ignored.
    """
    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _end)


@contextlib.contextmanager
def scratch_folder(parent: str | None = None) -> Iterator[str]:
    """A temporary folder that is gone after the block, and after a signal too.

    Parameters
    ----------
    parent : str, optional
        Where to make it; the system's place for temporary files by default.

    Yields
    ------
    str
        The folder.

    Examples
    --------
    >>> with scratch_folder() as folder:
    ...     os.path.isdir(folder)
    True
    >>> os.path.exists(folder)
    False
    """
    with TemporaryDirectory(dir=parent) as folder:
        _folders.add(folder)
        try:
            yield folder
        finally:
            _folders.discard(folder)


def _end(number: int, frame: FrameType | None) -> NoReturn:
    for other in SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    _kill_descendants()
    for folder in _folders:
        shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(Exception):  # it may be just being written to
        sys.stdout.flush()
    with contextlib.suppress(OSError):  # a terminal that is gone
        start = "\n" if os.isatty(2) or _bars() else ""  # what is shown ends within a line
        os.write(2, f"{start}{MESSAGE}\n".encode())
    os._exit(INTERRUPTED)


def _bars() -> bool:
    """Whether there are progress bars."""
    bar = getattr(sys.modules.get("tqdm"), "tqdm", None)
    return bool(getattr(bar, "_instances", ()))


def _kill_descendants() -> None:
    """Kill all processes that this one started; kernels would notice its end a second later."""
    if psutil is None:
        return
    with contextlib.suppress(psutil.Error):
        found = psutil.Process().children(recursive=True)
        for process in found:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(found, timeout=5)
