"""Which sources a site was built from: a digest that lies in the site, and can be made again.

Whoever looks at a built site, a test in a browser above all, must not take an old one for what the
sources say now.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from thermo_utils.errors import ThermoError
from thermo_utils.files import write_atomically

__all__ = ["STAMP", "check_stamp", "digest_of_sources", "write_stamp"]

#: Where the digest lies in a site.
STAMP: Final = "_static/built.json"
#: What the pages are made from and by. Runs of this machine change while the sources do not.
SOURCES: Final = (
    "_config.yml",
    "book/**/*",
    "companion/pages/**/*.py",
    "companion/paper/**/*",
    "notebooks/*.md",
    "results/*.json",
    "results/small/*/*.json",
    "results/small/*/*.csv",
    "results/small/*/seed-*/*.json",
    "results/small/*/seed-*/*.csv",
)
#: What is made, among the book's sources.
MADE: Final = ("book/chapters", "book/generated", "book/runs")


def digest_of_sources(root: Path) -> str:
    """One digest over everything that the pages are made from.

    Parameters
    ----------
    root : Path
        The clone.

    Returns
    -------
    str
        Hexadecimal; the same for the same files under the same names, wherever they lie.
    """
    whole = hashlib.sha256()
    for path in sorted(set(_sources(root))):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        whole.update(f"{path.relative_to(root).as_posix()}\0{content}\n".encode())
    return whole.hexdigest()


def _sources(root: Path) -> Iterator[Path]:
    for pattern in SOURCES:
        for path in root.glob(pattern):
            name = path.relative_to(root).as_posix()
            made = name.startswith((*(f"{folder}/" for folder in MADE), "book/your_model"))
            if path.is_file() and not made and "__pycache__" not in path.parts:
                yield path


def write_stamp(site: Path, digest: str) -> None:
    """Note in a site what it was built from.

    Parameters
    ----------
    site : Path
        Folder of the built site.
    digest : str
        :func:`digest_of_sources` as it was before anything was read.
    """
    (site / STAMP).parent.mkdir(exist_ok=True)
    write_atomically(site / STAMP, json.dumps({"sources": digest}) + "\n")


def check_stamp(site: Path, root: Path) -> None:
    """Refuse a site that was built from other sources.

    Parameters
    ----------
    site : Path
        Folder of the built site.
    root : Path
        The clone.

    Raises
    ------
    ThermoError
        If the sources changed since, or the site does not say what it was built from.
    """
    try:
        built = json.loads((site / STAMP).read_text(encoding="utf-8"))["sources"]
    except (OSError, ValueError, KeyError, TypeError):
        built = None
    if built != digest_of_sources(root):
        raise ThermoError(f"{site} was built from other sources: build it anew with make read")
