"""The run that made a record, in the terms of the profiles of RO-Crate."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from rocrate.model import ContextEntity, File
from rocrate.rocrate import ROCrate

from companion.data.specs import DATASETS
from companion.export.chosen import Chosen
from companion.runs.chapters import chapter_title
from companion.runs.command import TAKEN_AWAY, in_shell, rerun_command
from companion.runs.overrides import OVERRIDES
from companion.runs.records import BLOCKS, CURVES, RESULT, Record, sha256
from thermo_utils.errors import ThermoError

__all__ = ["OUTPUTS", "OWN", "Runs"]

#: What every run leaves, and what it is.
OUTPUTS: Mapping[str, str] = {
    RESULT: "Settings, accuracies, thresholds, features, times, versions, device and fingerprints",
    CURVES: "Free energies at every threshold, with and without pruning",
    BLOCKS: "Counts of the curves by blocks of examples",
}
#: What keeps the record of a network of one's own, whose notebook is not in the clone.
OWN = "companion/runs/run.py"
#: Types of what the command takes, in the terms of schema.org; some take a word for a value.
KINDS = {int: "Integer", float: "Float", bool: "Boolean", str: "Text"}
TYPES: Mapping[str, str | list[str]] = {
    "model": "Text",
    "dataset": "Text",
    "profile": "Text",
    "seed": "Integer",
    **{
        name: [KINDS[kind], "Text"] if name in TAKEN_AWAY and kind is not str else KINDS[kind]
        for name, (kind, _) in OVERRIDES.items()
    },
}
DONE = "http://schema.org/CompletedActionStatus"


class Runs:
    """Adds runs to a crate; what several share is there once.

    Parameters
    ----------
    crate : ROCrate
    main : File
        The command.
    notebooks : mapping of str to File
        By network.
    contributors : ContextEntity
        Who ran what came with the project.

    Attributes
    ----------
    actions : list of ContextEntity
        The runs so far.
    inputs : dict of str to ContextEntity
        The arguments and settings that any of them had, by name.
    """

    def __init__(
        self,
        crate: ROCrate,
        main: File,
        notebooks: Mapping[str, File],
        contributors: ContextEntity,
    ) -> None:
        self._crate, self._main, self._notebooks = crate, main, notebooks
        self._contributors = contributors
        self.actions: list[ContextEntity] = []
        self.inputs: dict[str, ContextEntity] = {}

    def add(self, chosen: Chosen, files: Mapping[str, File]) -> None:
        """Add the run of a record.

        When it began and ended is not said, for a record does not say.

        Parameters
        ----------
        chosen : Chosen
            The record.
        files : mapping of str to File
            Its files in the crate, by name.
        """
        record, result = chosen.record, chosen.record.result
        for name, file in files.items():
            if name in OUTPUTS:
                file["description"] = OUTPUTS[name]
                file["exampleOfWork"] = {"@id": f"#output-{name}"}
        facts: dict[str, Any] = {
            "@type": "CreateAction",
            "name": f"{_title(result)}, profile {result['profile']}, seed {result['seed']}",
            "description": _description(record),
            "instrument": self._instruments(result["model"]),
            "object": [self._data(result), *self._values(result)],
            "result": [files[name] for name in OUTPUTS if name in files],
            "actionStatus": DONE,
        }
        if chosen.committed:  # who runs things elsewhere is not known
            facts["agent"] = self._contributors
        action = ContextEntity(self._crate, f"#{quote(chosen.name)}", facts)
        self.actions.append(self._crate.add(action))

    def _instruments(self, model: str) -> list[File]:
        """The command and the notebook; a network of one's own has a notebook that is not known."""
        if model in self._notebooks:
            return [self._main, self._notebooks[model]]
        return [self._crate.get(OWN)]

    def _data(self, result: Mapping[str, Any]) -> ContextEntity:
        spec = DATASETS.get(result["dataset"])
        name = spec.title if spec else result["dataset"]
        facts = {"@type": "CreativeWork", "description": result["data"]["source"]}
        if result["synthetic"] or spec is None:
            what = f"Generated in the manner of {name}" if result["synthetic"] else name
            return self._once(f"#data-{quote(result['dataset'])}", {**facts, "name": what})
        known = {"name": name, "identifier": spec.hub_id, "url": spec.address}
        return self._once(spec.address, {**facts, **known})

    def _values(self, result: Mapping[str, Any]) -> list[ContextEntity]:
        """Settings that are set, as the command calls them, and the fingerprint of the data."""
        found = []
        for name, given in result["settings"].items():
            value = TAKEN_AWAY.get(name) if given is None else given
            if value is not None and name != "differs":
                found.append(self._value(name, value))
        return [*found, self._value("data fingerprint", result["data"]["fingerprint"])]

    def _value(self, name: str, value: Any) -> ContextEntity:
        plain = value if isinstance(value, str | bool | int | float) else json.dumps(value)
        identifier = f"#{quote(name)}-{sha256(json.dumps(value))[:12]}"
        facts: dict[str, Any] = {"@type": "PropertyValue", "name": name, "value": plain}
        if name in TYPES:
            facts["exampleOfWork"] = self._input(name)
        return self._once(identifier, facts)

    def _input(self, name: str) -> ContextEntity:
        if name not in self.inputs:
            facts = {
                "@type": "FormalParameter",
                "name": name,
                "additionalType": TYPES[name],
                "valueRequired": name in ("model", "dataset"),
            }
            self.inputs[name] = self._once(f"#parameter-{name}", facts)
        return self.inputs[name]

    def _once(self, identifier: str, facts: Mapping[str, Any]) -> ContextEntity:
        known = self._crate.get(identifier)
        return known or self._crate.add(ContextEntity(self._crate, identifier, dict(facts)))


def _title(result: Mapping[str, Any]) -> str:
    return chapter_title(f"{result['model']}-{result['dataset']}")


def _description(record: Record) -> str:
    """The command, and what else the record says of how it was run."""
    try:
        command = in_shell(rerun_command(record))
    except ThermoError as error:
        command = f"No command of this version computes it again: {error}"
    origin = record.result["provenance"]
    said = [command, f"Device: {origin['device']}", f"Python {origin['python']}"]
    said += [f"Code: commit {origin['git_commit']}"] if origin["git_commit"] else []
    differs = "; ".join(record.result["differs"])
    said += [f"Differs from the paper: {differs}"] if differs else []
    return "\n".join(said)
