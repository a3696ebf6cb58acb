"""Which records came with the project, and which were made on this machine.

``results/committed.json`` names the folder of every record that belongs to the project, with the
SHA-256 of its ``result.json``, which in turn holds those of the files beside it. Everything else in
a folder of results was run here, also what has taken the place of a committed record.

``python -m companion.runs.committed`` writes the list anew from what git tracks.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from companion.runs.provenance import ROOT
from companion.runs.records import RESULT, Record, read_chapter, sha256
from thermo_utils.errors import ThermoError
from thermo_utils.files import write_atomically

__all__ = [
    "COMMITTED", "LIST", "came_with_the_project", "committed_chapter", "is_committed", "read_list",
    "replaced", "tracked",
]  # fmt: skip

#: The list, in a folder of results; and the folder that came with the project.
LIST: Final = "committed.json"
COMMITTED: Final = ROOT / "results"


def read_list(results: Path = COMMITTED) -> dict[str, str]:
    """The list of a folder of results.

    Parameters
    ----------
    results : Path
        The folder.

    Returns
    -------
    dict of str to str
        Digests of ``result.json`` by folder relative to `results`, such as
        ``small/mlp-cifar10/seed-1``; empty where there is no list.

    Raises
    ------
    ThermoError
        If the list cannot be read.
    """
    path = results / LIST
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): str(digest) for name, digest in found.items()}
    except (OSError, ValueError, AttributeError) as error:
        raise ThermoError(
            f"{path} is damaged ({error}): git checkout -- {path} brings it back"
        ) from error


def is_committed(folder: Path, results: Path, listed: Mapping[str, str]) -> bool:
    """Whether a record is one of the project's, unchanged.

    Parameters
    ----------
    folder : Path
        Of the record.
    results : Path
        The folder of results it lies in.
    listed : mapping of str to str
        As from :func:`read_list`.

    Returns
    -------
    bool
    """
    digest = listed.get(folder.relative_to(results).as_posix())
    return digest is not None and digest == sha256((folder / RESULT).read_bytes())


def came_with_the_project(record: Record) -> bool:
    """Whether a record is one of the project's, by the list of the results it lies in.

    Parameters
    ----------
    record : Record
        Any.

    Returns
    -------
    bool
        False where no folder above it has a list.
    """
    for results in record.folder.parents:
        if (results / LIST).exists():
            return is_committed(record.folder, results, read_list(results))
    return False


def committed_chapter(name: str, profile: str = "small", results: Path = COMMITTED) -> list[Record]:
    """A chapter's records that came with the project, without those that were made beside them.

    Parameters
    ----------
    name, profile, results
        As for :func:`companion.runs.records.read_chapter`.

    Returns
    -------
    list of Record
        By seed.

    Raises
    ------
    ThermoError
        If a record is damaged.
    """
    listed = read_list(results)
    return [
        record
        for record in read_chapter(results, profile, name)
        if is_committed(record.folder, results, listed)
    ]


def replaced(results: Path, listed: Mapping[str, str]) -> list[str]:
    """Records of the project that are not there any more, or not as they came.

    Parameters
    ----------
    results : Path
        The folder of results that the list is of.
    listed : mapping of str to str
        As from :func:`read_list`.

    Returns
    -------
    list of str
        Their folders relative to `results`.
    """
    return [
        name
        for name in listed
        if not (results / name / RESULT).exists()
        or not is_committed(results / name, results, listed)
    ]


def tracked(results: Path = COMMITTED) -> dict[str, str]:
    """What the list has to say, from what git tracks.

    Parameters
    ----------
    results : Path
        The folder.

    Returns
    -------
    dict of str to str
        As from :func:`read_list`.

    Raises
    ------
    ThermoError
        If this is no checkout.
    """
    command = ["git", "ls-files", "-z", "--", f"*{RESULT}"]
    done = subprocess.run(command, cwd=results, capture_output=True, check=False)
    if done.returncode != 0:
        raise ThermoError(f"{results} is not in a checkout: the list is made where git tracks it")
    names = sorted(
        Path(name).parent.as_posix() for name in done.stdout.decode().split("\0") if name
    )
    return {name: sha256((results / name / RESULT).read_bytes()) for name in names}


def main() -> None:
    """Write the list."""
    text = json.dumps(tracked(), indent=2) + "\n"
    write_atomically(COMMITTED / LIST, text)
    print(f"{COMMITTED / LIST}: {text.count(':')} records")


if __name__ == "__main__":
    try:
        main()
    except ThermoError as error:
        sys.exit(str(error))
