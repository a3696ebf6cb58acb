"""Texts in an archive for those who open it."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

from companion.export.chosen import Chosen
from companion.paper.citation import AUTHORS_CODE, doi_address
from companion.runs.command import AGAIN, in_shell, rerun_command
from thermo_utils.errors import ThermoError

__all__ = ["COMMANDS", "GUIDE", "commands_text", "guide_text"]

#: Their names in the archive.
COMMANDS, GUIDE = "commands.txt", "ARTIFACT.md"


def commands_text(records: Sequence[Chosen]) -> str:
    """For every record the command that computes it again, as lines of a shell.

    Parameters
    ----------
    records : sequence of Chosen

    Returns
    -------
    str
    """
    lines = []
    for chosen in records:
        lines.append(f"# results/{chosen.name}")
        try:
            lines.append(in_shell(rerun_command(chosen.record)))
        except ThermoError as error:
            # One line, whatever a record brings along: a shell would run what follows on the next.
            lines.append(f"# no command: {' '.join(str(error).split())}")
    return "\n".join(lines) + "\n"


def guide_text(records: Sequence[Chosen], cited: Mapping[str, Any], date: datetime.datetime) -> str:
    """What is in an archive, and how to use it.

    Parameters
    ----------
    records : sequence of Chosen
    cited : mapping
        The content of ``CITATION.cff``.
    date : datetime
        Of the newest record.

    Returns
    -------
    str
        Markdown.
    """
    profiles = sorted({chosen.record.result["profile"] for chosen in records})
    synthetic = sum(bool(chosen.record.result["synthetic"]) for chosen in records)
    count = f"{len(records)} record{'' if len(records) == 1 else 's'}"
    made_up = f", {synthetic} of them of synthetic data" if synthetic else ""
    article = cited["preferred-citation"]
    return f"""# {cited["title"]}

{count} at the profile {" and ".join(profiles)}{made_up}; the newest is from {date.date()}.
The paper: *{article["title"]}*, {doi_address(article["doi"])}. The repository that it names as its
own, {AUTHORS_CODE}, was not available to us, and nothing here is from it.

- `results/`: the records. `result.json` says how each was made and holds the hashes of its curves.
- `{COMMANDS}`: for each record the command that computes it again.
- `notebooks/`, `companion/`, `thermo_utils/`: the experiments, and the code that they call.
- `constraints.txt`, `pyproject.toml`, `environment.yml`: the environment, to the exact version.
- `ro-crate-metadata.json`: all of this for machines, with the size and the SHA-256 of every file.

```bash
python3.11 -m venv .venv && source .venv/bin/activate
pip install --constraint constraints.txt --editable ".[book]"
thermo check       # every record is whole and makes sense
```

A line of `{COMMANDS}` computes a record again, into the folder `{AGAIN}`. Data and weights are not
in here; they come from the Hugging Face hub, or from a folder that `THERMO_DATA` names. Records do
not say at what time a run began or ended, so this archive does not either; how long each stage took
is in them. The code that a record was made with is named by its commit; the code in here is that of
version {cited["version"]}, which made this archive.
"""
