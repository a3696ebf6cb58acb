"""Records, notebooks, code and pins as one archive that says where everything comes from.

The archive is a Workflow Run RO-Crate, https://w3id.org/ro/wfrun/workflow/0.5: a folder or a .zip
with a file of metadata that tools for research data read.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from companion.runs.provenance import ROOT

__all__ = ["export"]


def export(
    results: str | Path,
    target: str | Path,
    *,
    names: Sequence[str] = (),
    profile: str | None = None,
    every: bool = False,
    force: bool = False,
    progress: bool = True,
    root: Path = ROOT,
) -> Path:
    """Write an archive of records.

    Parameters
    ----------
    results : path
        Folder of the records.
    target : path
        What to write: a folder, or a file that ends in ``.zip``.
    names, profile, every
        Which records, see :func:`companion.export.chosen.chosen`.
    force : bool, default False
        Replace an archive that is there.
    progress : bool, default True
        Show a progress bar.
    root : Path, default the clone
        Where notebooks, code and pins are taken from.

    Returns
    -------
    Path
        The target.

    Raises
    ------
    ThermoError
        If a record is damaged or there is none, something of the clone is missing, or the target is
        in the way. Nothing is written then.
    """
    from companion.export.archive import check_target, write
    from companion.export.chosen import chosen, newest
    from companion.export.crate import build

    target = Path(target)
    check_target(target, force=force)
    records = chosen(Path(results), names=names, profile=profile, every=every)
    date = newest(records)
    write(build(records, date, root), target, date, force=force, progress=progress)
    return target
