"""The stages of a run, each computed once and kept.

A stage is known by a key: a hash of all settings it depends on. Under that key it is looked up in
the record of the run, then among the stages kept by earlier runs, finished or not, and computed
only if neither has it. So a run that was killed goes on where it was, and a changed setting
repeats just what depends on it.

A finished stage names the hashes of its files, and of itself. One that is not as it was written is
set aside, with a word on standard error, and computed again.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd
from filelock import FileLock

from companion.runs.kept import DamagedError, read_sealed, set_aside, write_sealed
from companion.runs.provenance import device_name, made_with
from companion.runs.records import Record
from thermo_utils.errors import ThermoError
from thermo_utils.files import digest, write_atomically

if TYPE_CHECKING:
    from companion.runs.settings import Settings

__all__ = ["DONE", "STAGES", "WEIGHTS", "Stage", "Stages"]

STAGES = ("train", "renormalized", "full")
#: The file that makes a stage a finished one.
DONE = "stage.json"
CURVE, WEIGHTS = "curve.csv", "weights.pt"
#: What stays of a stage when it is finished.
LASTING = (CURVE, WEIGHTS)


class Stage(NamedTuple):
    """What a stage comes to.

    Attributes
    ----------
    facts : dict
        What JSON can hold: key, seconds, device, and what the stage itself says.
    curve : DataFrame or None
        A curve, whose ``attrs`` are among the facts; training has none.
    """

    facts: dict[str, Any]
    curve: pd.DataFrame | None = None

    @property
    def frame(self) -> pd.DataFrame:
        """The curve of a stage that has one."""
        assert self.curve is not None, "all stages but training have one"
        return self.curve


class Stages:
    """Stages under the keys of one run's settings.

    Parameters
    ----------
    settings : Settings
        The settings of the run.
    record : Record or None
        Its record, of these or other settings.
    kept : Path
        Folder of the stages that runs keep; created when the first is computed.
    force : bool
        Look nothing up. What was kept of a stage stays until its turn.
    frozen : bool
        Take the record's stages, whatever their keys.
    """

    def __init__(
        self,
        settings: Settings,
        record: Record | None,
        kept: Path,
        *,
        force: bool,
        frozen: bool = False,
    ) -> None:
        self._settings, self._record, self._parent = settings, record, kept
        self._force, self._frozen = force, frozen
        self._used: dict[str, Stage] = {}

    def folder(self, name: str) -> Path:
        """Where a stage is kept, whether or not it is there."""
        return self._parent / f"{name}-{self._settings.key(name)}"

    def recorded(self, name: str) -> bool:
        """Whether the record holds a stage under the present settings."""
        recorded = self._record.result["stages"].get(name, {}) if self._record else {}
        return self._frozen or recorded.get("key") == self._settings.key(name)

    def kept(self, name: str) -> bool:
        """Whether an earlier run, finished or not, has kept a stage; a damaged one is set aside."""
        return not self._force and self._recall(name) is not None

    def used(self) -> dict[str, Stage]:
        """Stages that were looked up or computed so far, by name."""
        return dict(self._used)

    def known(self, name: str) -> Stage | None:
        """A stage, if it need not be computed."""
        if name in self._used:
            return self._used[name]
        if self.recorded(name):
            assert self._record is not None
            result = self._record.result
            if name != "train":
                facts = {**result["stages"][name], "layers": result["layers"]}
                return Stage(facts, self._record.curve(name))
            shown = {key: result[key] for key in ("history", "data")}  # a record's own sections
            return Stage({**result["stages"][name], **shown})
        return None if self._force else self._recall(name)

    def get(
        self, name: str, compute: Callable[[Path], Stage], check: Callable[[Stage], str | None]
    ) -> Stage:
        """A stage, looked up if possible.

        Parameters
        ----------
        name : {"train", "renormalized", "full"}
            The stage.
        compute : callable
            Gets the folder in which the stage may keep its state while it goes on, and returns its
            own facts and its curve.
        check : callable
            Refuses a stage that was looked up and is not what `compute` would make, or tells with
            which other stage it disagrees: then a kept one is set aside and computed again.

        Returns
        -------
        Stage

        Raises
        ------
        ThermoError
            If the record's stage disagrees with another.
        """
        stage = self._agreeing(name, check)
        if stage is None:
            with self.alone(name):  # another run may have finished it while this one waited
                stage = self._agreeing(name, check)
                if stage is None:
                    return self.compute(name, compute)
        self._used[name] = stage
        return stage

    def _agreeing(self, name: str, check: Callable[[Stage], str | None]) -> Stage | None:
        """A known stage that fits to the others."""
        stage = self.known(name)
        disagreement = None if stage is None else check(stage)
        if disagreement is None:
            return stage
        if self.recorded(name):
            raise ThermoError(
                f"stage {name} of the record was made with {disagreement}: compute all of it again "
                "with --force, or name another results folder"
            )
        set_aside(self.folder(name), f"it was made with {disagreement}")
        return None

    @contextmanager
    def alone(self, name: str) -> Iterator[None]:
        """Wait for other processes that compute the same stage."""
        folder = self.folder(name)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f"{folder.name}.lock")):
            yield

    def compute(self, name: str, compute: Callable[[Path], Stage]) -> Stage:
        """Compute a stage, whatever is known of it, and keep it. Call it within :meth:`alone`."""
        folder = self.folder(name)
        if self._force:
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        started = time.time()
        own, curve = compute(folder)
        facts = {
            "key": self._settings.key(name),
            "seconds": time.time() - started,
            "device": device_name(),
            "made_with": made_with(),
            **own,
        }
        if curve is not None:
            write_atomically(folder / CURVE, curve.to_csv(index=False))
        files = {path.name: digest(path) for path in folder.iterdir() if path.name in LASTING}
        # Last: only a stage with this file is finished.
        finished = json.dumps({"facts": facts, "files": files}, indent=1, allow_nan=False)
        write_sealed(folder / DONE, finished.encode())
        for state in folder.glob("*.ckpt"):  # no longer needed to go on from
            state.unlink(missing_ok=True)
        self._used[name] = Stage(facts, curve)
        return self._used[name]

    def _recall(self, name: str) -> Stage | None:
        """A stage that was kept and is whole; a damaged one is set aside."""
        folder = self.folder(name)
        if not (folder / DONE).exists():
            return None
        try:
            finished = json.loads(read_sealed(folder / DONE))
            for file, expected in finished["files"].items():
                if not (folder / file).is_file():
                    raise DamagedError(f"{file} is missing")
                if digest(folder / file) != expected:
                    raise DamagedError(f"{file} is not as it was written")
        except DamagedError as error:
            set_aside(folder, error)
            return None
        facts: dict[str, Any] = finished["facts"]
        if CURVE not in finished["files"]:
            return Stage(facts)
        curve = pd.read_csv(folder / CURVE)
        curve.attrs = dict(facts["attrs"])
        return Stage(facts, curve)
