"""Whether what a results folder holds is what the book can be made from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from companion.pages.guided import FILE as GUIDED
from companion.pages.guided import read_guided
from companion.pages.pretraining import FILE as PRETRAINING
from companion.pages.pretraining import read_pretraining
from companion.pages.sampled import FILE as SAMPLED
from companion.pages.sampled import read_sampled
from companion.pages.setups import FILE as SETUPS
from companion.pages.setups import read_setups
from companion.pages.speed_files import FOLDER, read_measured
from companion.runs import scale_files
from companion.runs.records import CURVES, NEXT, RESULT, read_record
from companion.runs.scale_files import read_scale
from companion.runs.variant_files import FACTS, TABLE, read_variants
from thermo_utils.errors import ThermoError

__all__ = ["check"]

#: What measures chapters lies beside the records of a profile: files by their names, and readers.
BESIDE: Mapping[str, Callable[[Path], object]] = {
    GUIDED: read_guided,
    SAMPLED: read_sampled,
    SETUPS: read_setups,
    PRETRAINING: read_pretraining,
}


def check(results: Path) -> tuple[int, list[str]]:
    """Read every record, all that lies beside one, and every benchmark.

    Parameters
    ----------
    results : Path
        Folder of the records; it need not exist.

    Returns
    -------
    count : int
        How many there are.
    bad : list of str
        A line for each that is damaged, beginning with the file.
    """
    records, variants, scales, measured = set(), set(), set(), set()
    beside: dict[str, set[Path]] = {name: set() for name in BESIDE}
    for path in results.glob("*/**/*"):
        if path.relative_to(results).parts[0].startswith("."):  # kept by runs, which check it
            continue
        if path.name in (RESULT, CURVES, NEXT):
            records.add(path.parent)
        elif path.name in (FACTS, TABLE):
            variants.add(path.parent)
        elif path.name in (scale_files.FACTS, scale_files.TABLE):
            scales.add(path.parent)
        elif path.parent.name == FOLDER and path.suffix == ".json":
            measured.add(path)
        elif path.name in beside:
            beside[path.name].add(path)
    readers: list[tuple[Callable[[Path], object], set[Path]]] = [
        (read_record, records), (read_variants, variants), (read_scale, scales),
        (read_measured, measured), *((BESIDE[name], found) for name, found in beside.items()),
    ]  # fmt: skip
    bad = []
    for read, places in readers:
        for place in sorted(places):
            try:
                read(place)
            except ThermoError as error:
                bad.append(str(error))
    return sum(len(places) for _, places in readers), bad
