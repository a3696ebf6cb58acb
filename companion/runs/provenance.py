"""Where numbers come from: versions, device and commit of this process."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from pathlib import Path
from typing import Any

__all__ = ["PACKAGES", "ROOT", "device_name", "git_commit", "made_with", "provenance"]

#: The clone that the packages were installed from; elsewhere, what they happen to lie in.
ROOT = Path(__file__).resolve().parents[2]
#: What of it makes numbers; results and rendered pages come and go.
SOURCES = ("thermo_utils", "companion", "notebooks")
#: Distributions whose versions a record names.
PACKAGES = (
    "thermo-utils", "torch", "torchvision", "transformers", "datasets", "lightning", "numpy",
    "pandas", "scipy", "numba",
)  # fmt: skip


def provenance() -> dict[str, Any]:
    """Versions, device and commit of this process.

    Returns
    -------
    dict
        ``python``, ``packages``, ``device``, ``git_commit``, see :func:`git_commit`.
    """
    return {
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "device": device_name(),
        "git_commit": git_commit(),
    }


def device_name() -> str:
    """The processor that does the work, in words."""
    import torch  # a record can be read without

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"CPU ({platform.machine()}), {torch.get_num_threads()} threads"


def made_with() -> dict[str, Any]:
    """What decides on the last digits besides settings, data and weights.

    Returns
    -------
    dict
        ``torch`` and ``numpy`` (versions), ``threads``, ``device``.
    """
    import torch

    return {
        "torch": str(torch.__version__),
        "numpy": importlib.metadata.version("numpy"),
        "threads": torch.get_num_threads(),
        "device": "cuda" if torch.cuda.is_available() else "cpu",
    }


def git_commit(root: Path = ROOT) -> str | None:
    """The commit of a clone of this project.

    Parameters
    ----------
    root : Path, default `ROOT`
        Its first folder.

    Returns
    -------
    str or None
        The hash, with ``-dirty`` appended when a file of `SOURCES` differs from the commit or is
        not in it. None where `root` is no clone of its own, as after an installation from a wheel,
        even if that lies inside some other repository.
    """

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(root), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")) != root.resolve():
            return None
        commit = git("rev-parse", "HEAD")
        return commit + ("-dirty" if git("status", "--porcelain", "--", *SOURCES) else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
