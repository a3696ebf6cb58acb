"""The result record of a chapter: small text files that everything shown is made from.

``curves.csv`` holds the curves, ``blocks.csv`` their counts by blocks of examples, ``result.json``
everything else and the hashes of the files beside it. What is new is written first under other
names, then ``curves.csv``, then the others take their places: a reader always finds the old record
or the new one, wherever a run was killed. What is in neither state was changed by somebody else,
and is damaged.

Records of format 1 do not know which examples were lost and gained, and have no blocks.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Collection, Mapping
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from companion.runs import methods
from companion.runs.settings import ADDED
from thermo_utils.errors import ThermoError, unknown
from thermo_utils.files import write_atomically

if TYPE_CHECKING:  # who only asks what has been run reads no curve
    import pandas as pd

__all__ = [
    "BLOCKS",
    "CURVES",
    "FORMAT",
    "NEXT",
    "RESULT",
    "Record",
    "content",
    "examined",
    "other_runs",
    "place",
    "read_chapter",
    "read_record",
    "record_folder",
    "same_but_seed",
    "sha256",
    "to_json",
    "write_record",
]

FORMAT = 2
#: Settings that some records name and that had no effect.
GONE = ("pretrain_epochs",)
#: Formats that are read.
FORMATS = (1, FORMAT)
BLOCKS, CURVES, RESULT = "blocks.csv", "curves.csv", "result.json"
#: The new ``result.json`` and ``blocks.csv`` while a record is replaced.
NEXT, NEXT_BLOCKS = ".result.json.next", ".blocks.csv.next"
#: Local file systems tell times apart at least this finely.
TICK_S = 0.1
#: Every file of a record, in the order in which they are read.
FILES = (RESULT, CURVES, NEXT, BLOCKS, NEXT_BLOCKS)
#: What a result says of the record's own files.
FILLED_IN = ("format", "curves_sha256", "blocks_sha256")
#: Columns of a full evaluation alone.
OF_ACCURACY = ("accuracy", "lost", "gained")
#: What a message about a damaged record ends with.
MEND = "delete it and run again"


class Record:
    """A chapter's results.

    Parameters
    ----------
    folder : Path
        Where it was read from.
    result : dict
        The content of ``result.json``.
    curves : DataFrame or bytes
        The content of ``curves.csv``: a curve's columns, ``method`` and those of the accuracy.
    blocks : bytes, optional
        The content of ``blocks.csv``.
    """

    def __init__(
        self,
        folder: Path,
        result: dict[str, Any],
        curves: pd.DataFrame | bytes,
        blocks: bytes | None = None,
    ) -> None:
        self.folder, self.result, self._curves, self._blocks = folder, result, curves, blocks

    @cached_property
    def curves(self) -> pd.DataFrame:
        """All curves, a row per method and threshold; read on first use."""
        if not isinstance(self._curves, bytes):
            return self._curves
        import pandas as pd

        return pd.read_csv(BytesIO(self._curves))

    def curve(self, method: str) -> pd.DataFrame:
        """One curve, with its ``attrs``.

        Parameters
        ----------
        method : {"full", "renormalized"}
            Which.

        Raises
        ------
        ThermoError
            If the record holds no such curve.
        """
        if method not in set(self.curves["method"]):
            raise unknown("method", method, methods.CURVES)
        curve = self.curves[self.curves["method"] == method].drop(columns="method")
        if method == "renormalized":
            curve = curve.drop(columns=[name for name in OF_ACCURACY if name in curve])
        elif "lost" in curve and curve["lost"].notna().all():
            curve = curve.astype({"lost": "int64", "gained": "int64"})
        curve = curve.reset_index(drop=True)
        curve.attrs = dict(self.result["stages"][method]["attrs"])
        return curve

    def blocks(self, method: str) -> pd.DataFrame | None:
        """Counts of a curve by blocks of examples.

        Parameters
        ----------
        method : {"full", "renormalized"}
            Which.

        Returns
        -------
        DataFrame or None
            Columns ``tau`` (zero first), ``block``, ``active`` and ``abs_sum``; at zero ``N`` and
            ``Sigma_0`` of the block. None where they were not kept.

        Raises
        ------
        ThermoError
            If they are damaged.
        """
        if self._blocks is None:
            return None
        from companion.runs.block_rules import block_problems, parsed_blocks

        if found := block_problems(self._blocks, {m: self.curve(m) for m in methods.CURVES}):
            raise _damaged(self.folder / BLOCKS, found)
        table = parsed_blocks(self._blocks)
        return table[table["method"] == method].drop(columns="method").reset_index(drop=True)


def write_record(
    folder: str | Path, result: dict[str, Any], curves: dict[str, pd.DataFrame]
) -> None:
    """Write a record so that it is there completely or not at all.

    Parameters
    ----------
    folder : path
        Created if need be; a record in it is replaced.
    result : dict
        Values that :func:`to_json` takes; `FILLED_IN` is.
    curves : dict of str to DataFrame
        A curve per method, with its blocks in ``attrs`` or, all of them, without.

    Raises
    ------
    ThermoError
        If the result or a curve is not what :mod:`companion.runs.schema` asks for.
    TypeError
        If it holds something that JSON cannot. Nothing is written in either case.
    """
    import pandas as pd

    from companion.runs.block_rules import block_table

    folder = Path(folder)
    table = pd.concat(
        [curve.assign(method=method) for method, curve in curves.items()], ignore_index=True
    )
    counted = [name for name in OF_ACCURACY[1:] if name in table]
    table[counted] = table[counted].astype(
        "Int64"
    )  # whole numbers, and nothing where there is none
    text = table[["method", *[c for c in table if c != "method"]]].to_csv(index=False)
    apart = {m: c.attrs["blocks"] for m, c in curves.items() if "blocks" in c.attrs}
    blocks = block_table(apart).to_csv(index=False) if apart else None
    given = {k: v for k, v in result.items() if k not in FILLED_IN}
    facts = {"format": FORMAT, **given, "curves_sha256": sha256(text)}
    if blocks is not None:
        facts["blocks_sha256"] = sha256(blocks)
    files = (to_json(facts) + "\n", text, blocks)
    content = tuple(None if file is None else file.encode() for file in files)
    Record(folder, _validated(folder, *content), table, content[2]).blocks("full")
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / NEXT, files[0])
    if blocks is not None:
        write_atomically(folder / NEXT_BLOCKS, blocks)
    write_atomically(folder / CURVES, text)  # from here on it is the new record
    if blocks is not None:
        write_atomically(folder / BLOCKS, blocks)
    write_atomically(folder / RESULT, files[0])
    if blocks is None:
        (folder / BLOCKS).unlink(missing_ok=True)
    for name in (NEXT, NEXT_BLOCKS):
        (folder / name).unlink(missing_ok=True)


def read_record(folder: str | Path) -> Record | None:
    """Read a record.

    Parameters
    ----------
    folder : path
        The record's folder.

    Returns
    -------
    Record or None
        None when there is none, or the first was interrupted while it was written.

    Raises
    ------
    ThermoError
        If there is one, but of another format or damaged.
    """
    try:
        return _read(Path(folder))
    except ThermoError as error:
        raise ThermoError(f"{error}; {MEND}") from error


def _read(folder: Path) -> Record | None:
    while True:
        before = _state(folder)
        result, curves, new, *blocks = (content(folder / name) for name in FILES)
        # What a killed run was about to put in place counts as soon as its curves are there. It is
        # left to the next writer to tidy up: a reader cannot know that none is at work.
        if new is not None and curves is not None and sha256(curves).encode() in new:
            result = new
        if result is None:
            return None
        kept = next((b for b in blocks if b is not None and sha256(b).encode() in result), None)
        try:
            return Record(folder, _validated(folder, result, curves, kept), curves or b"", kept)
        except ThermoError:
            # Contents alone do not tell that nobody was just writing them: two records that are
            # written in turn look alike at every other glance. Neither do times of files that were
            # written a moment ago: two writers may share a tick of the file system's clock.
            if _settled(before) and _state(folder) == before:
                raise
            time.sleep(TICK_S / 10)


def _settled(state: list[tuple[int, int, int] | None]) -> bool:
    """Whether what is written now gets another time than every file of this state."""
    now = time.time_ns()
    return all(abs(now - file[1]) > TICK_S * 1e9 for file in state if file is not None)


def _state(folder: Path) -> list[tuple[int, int, int] | None]:
    """What changes whenever a file of a record is replaced; None where there is no such file."""
    state: list[tuple[int, int, int] | None] = []
    for name in FILES:
        try:
            found = (folder / name).stat()
        except OSError:
            state.append(None)
        else:
            state.append((found.st_ino, found.st_mtime_ns, found.st_size))
    return state


def content(path: Path) -> bytes | None:
    """What a file holds.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    bytes or None
        None where there is no such file.

    Raises
    ------
    ThermoError
        If it cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ThermoError(f"{path} cannot be read: {error.strerror}") from error


def record_folder(
    results: str | Path,
    profile: str,
    name: str,
    seed: int = 0,
    overrides: Mapping[str, Any] | None = None,
) -> Path:
    """Where the record of a run lies.

    Parameters
    ----------
    results : path
        Folder of the records.
    profile, name : str
        The profile and the chapter's ``model-dataset``.
    seed : int, default 0
        Seeds other than 0 have folders of their own in the chapter's.
    overrides : mapping, optional
        Settings that differ from the registered recipe, see
        :func:`companion.runs.settings.overridden`. Such a run never shares a folder with the
        chapter's, nor with one of other overrides.

    Returns
    -------
    Path

    Examples
    --------
    >>> record_folder("results", "demo", "mlp-cifar10", 2).as_posix()
    'results/demo/mlp-cifar10/seed-2'
    >>> record_folder("results", "demo", "mlp-cifar10", 2, {"epochs": 3}).as_posix()
    'results/demo/mlp-cifar10/with-543da7ab/seed-2'
    """
    folder = Path(results) / profile / name
    if overrides:
        folder /= f"with-{sha256(json.dumps(dict(overrides), sort_keys=True))[:8]}"
    return folder / f"seed-{seed}" if seed else folder


def read_chapter(results: str | Path, profile: str, name: str) -> list[Record]:
    """The records of a chapter: one per seed, of otherwise the same settings.

    Parameters
    ----------
    results, profile, name
        As for :func:`record_folder`.

    Returns
    -------
    list of Record
        By seed. The first one's settings decide which others belong to it; empty when nothing was
        run.

    Raises
    ------
    ThermoError
        If records are damaged or of another format; it names all of them.
    """
    found, bad = examined(results, profile, name)
    if bad:
        raise ThermoError(f"{'; '.join(bad)}; {MEND}")
    return found


def examined(results: str | Path, profile: str, name: str) -> tuple[list[Record], list[str]]:
    """The records of a chapter that are good, and what is wrong with the others.

    Parameters
    ----------
    results, profile, name
        As for :func:`record_folder`.

    Returns
    -------
    found : list of Record
        As from :func:`read_chapter`.
    bad : list of str
        A few words for each record that is damaged or of another format, beginning with the file.
    """
    chapter = record_folder(results, profile, name)
    found, bad = [], []
    for folder in (chapter, *sorted(chapter.glob("seed-*"))):
        try:
            record = _read(folder)
        except ThermoError as error:
            bad.append(str(error))
        else:
            found += [] if record is None else [record]
    found.sort(key=lambda record: int(record.result["seed"]))
    first = found[0].result["settings"] if found else {}
    return [record for record in found if same_but_seed(record, first)], bad


def other_runs(
    results: str | Path, profile: str, chapters: Collection[str]
) -> tuple[list[Record], list[str]]:
    """Records that stand for no chapter: runs with changed settings, and of other networks.

    Parameters
    ----------
    results, profile
        As for :func:`record_folder`.
    chapters : collection of str
        Names of the chapters.

    Returns
    -------
    found : list of Record
        By folder.
    bad : list of str
        As from :func:`examined`.
    """
    top = Path(results) / profile
    folders = [
        path.parent
        for path in sorted(top.rglob(RESULT))
        if (parts := path.parent.relative_to(top).parts)
        and (parts[0] not in chapters or any(part.startswith("with-") for part in parts))
    ]
    found, bad = [], []
    for folder in folders:
        try:
            record = _read(folder)
        except ThermoError as error:
            bad.append(str(error))
        else:
            found += [] if record is None else [record]
    return found, bad


def same_but_seed(record: Record, settings: Mapping[str, Any]) -> bool:
    """Whether a record's settings equal others in everything but the seed and the remarks."""
    ignored = {"seed", "differs"}
    ours, theirs = (
        {key: value for key, value in json.loads(to_json(s)).items() if key not in ignored}
        for s in (record.result["settings"], settings)
    )
    return bool(ours == theirs)


def to_json(value: Any) -> str:
    """JSON text that any reader takes: numbers that are not finite become null.

    Parameters
    ----------
    value : object
        Dicts, lists, tuples, strings, paths, and Python's or NumPy's numbers and booleans, nested.

    Returns
    -------
    str
        Floats keep every bit.

    Raises
    ------
    TypeError
        If something else is in it.

    Examples
    --------
    >>> import numpy as np
    >>> to_json([1.5, np.float64("nan"), np.int64(2), (True, None)]).split()
    ['[', '1.5,', 'null,', '2,', '[', 'true,', 'null', ']', ']']
    """
    return json.dumps(_plain(value), indent=1, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if type(value).__module__ == "numpy" and getattr(value, "shape", None) == ():
        value = value.item()  # a number of NumPy's
    if isinstance(value, Path):
        return str(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _validated(
    folder: Path, facts: bytes | None, curves: bytes | None, blocks: bytes | None
) -> dict[str, Any]:
    """The content of ``result.json`` if it and the files beside it are what they should be.

    The content of ``blocks.csv`` is looked at when it is asked for.
    """
    from companion.runs import schema  # pydantic takes a tenth of a second
    from companion.runs.curve_rules import curve_problems

    path = folder / RESULT
    try:
        result = schema.parsed(facts or b"")
    except ValueError as error:
        raise _damaged(path, [str(error)]) from error
    if not isinstance(result, dict) or result.get("format") not in FORMATS:
        raise ThermoError(f"{path} is not of format {' or '.join(map(str, FORMATS))}")
    if found := schema.result_problems(result, place(folder)):
        raise _damaged(path, found)
    if curves is None:
        raise ThermoError(f"{folder / CURVES} is missing beside {RESULT}")
    if result["curves_sha256"] != sha256(curves):
        raise _damaged(folder / CURVES, [f"it is not the file that {RESULT} was written with"])
    if "blocks_sha256" in result and blocks is None:
        raise _damaged(folder / BLOCKS, [f"it is not the file that {RESULT} was written with"])
    if found := curve_problems(curves, result):
        raise _damaged(folder / CURVES, found)
    known = {name: v for name, v in result["settings"].items() if name not in GONE}
    return {**result, "settings": {**ADDED, **known}}


def _damaged(path: Path, found: list[str]) -> ThermoError:
    from companion.runs.schema import printable

    return ThermoError(f"{path} is damaged: {printable(found)}")


def place(folder: Path) -> tuple[str, str, int]:
    """Profile, name of the chapter and seed that a folder stands for.

    Parameters
    ----------
    folder : Path
        As :func:`record_folder` makes them.

    Returns
    -------
    profile, name : str
    seed : int

    Examples
    --------
    >>> place(record_folder("results", "demo", "mlp-cifar10", 2, {"epochs": 3}))
    ('demo', 'mlp-cifar10', 2)
    """
    chapter, seed = folder.absolute(), 0
    _, named, number = chapter.name.partition("seed-")
    if named and number.isdecimal():
        chapter, seed = chapter.parent, int(number)
    if chapter.name.startswith("with-"):  # of a run with other settings
        chapter = chapter.parent
    return chapter.parent.name, chapter.name, seed


def sha256(content: bytes | str) -> str:
    """The SHA-256 of a file's content in hexadecimal; text is taken as UTF-8."""
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()
