"""What can be checked with this project as an artifact: what it takes, and how exactly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Final, NamedTuple

from companion.data.specs import DATASETS
from companion.pages.escape import in_html, in_markdown
from companion.pages.seeds import at_least, by_device
from companion.pages.tables import counted, html
from companion.pages.wording import listed
from companion.paper.claims import KINDS, claims
from companion.runs.chapters import Chapter
from companion.runs.command import AGAIN, in_shell, rerun_command
from companion.runs.methods import METHODS
from companion.runs.records import BLOCKS, CURVES, RESULT, Record
from companion.runs.settings import recorded
from companion.runs.stages import STAGES
from thermo_utils.errors import ThermoError

__all__ = ["EVERYTHING", "TOLERANCES", "Tolerance", "artifact_pieces", "duration"]

#: The records of chapters, one per seed; none of one that was not run.
Runs = Mapping[Chapter, Sequence[Record]]
#: The command that computes all chapters.
EVERYTHING: Final = f"snakemake -j2 --config profile=small results={AGAIN}"


class Tolerance(NamedTuple):
    """How exactly something is compared, and by which test.

    Attributes
    ----------
    what, other, within : str
        What is compared with what, and how far apart they may be.
    test : str
        File and name of the test, as pytest takes them.
    """

    what: str
    other: str
    within: str
    test: str


#: What the tests compare. A test of this page looks whether each of them is there.
TOLERANCES: Final = (
    Tolerance(
        "Every file of a record",
        "the SHA-256 that its result.json holds",
        "equal",
        "tests/companion/runs/test_record_files.py",
    ),
    Tolerance(
        "Features, thresholds, accuracies and matches of the committed records",
        "the same computed anew from their curves",
        "equal, numbers to rounding",
        "tests/companion/runs/test_committed_records.py::test_a_record_follows_from_its_curves",
    ),
    Tolerance(
        "The free energy from one unpruned pass, one layer hooked",
        "that of pruning in the network",
        "identical",
        "tests/thermo_utils/test_evaluation.py::test_with_one_layer_both_are_identical",
    ),
    Tolerance(
        "Free energies of exponential activations",
        "the closed form",
        "1e-9",
        "tests/thermo_utils/test_thermodynamics.py::test_closed_form_exponential",
    ),
    Tolerance(
        "The settings that a command of the table below asks for",
        "those of the record",
        "equal",
        "tests/companion/runs/test_command.py::"
        "test_every_committed_record_says_how_it_is_run_again",
    ),
    Tolerance(
        "The record that took least time, computed again from the real data",
        "the committed one",
        "accuracy 0.05, thresholds 2 steps of the grid",
        "tests/companion/runs/test_committed_records.py::test_the_cheapest_record_runs_again",
    ),
    Tolerance(
        "Every file of an archive",
        "the size and SHA-256 that its metadata hold",
        "equal",
        "tests/companion/test_export.py::test_every_file_is_described_and_is_what_is_said",
    ),
)


def artifact_pieces(records: Runs) -> dict[str, str]:
    """The parts of the page that are made from records.

    Parameters
    ----------
    records : mapping of Chapter to sequence of Record
        Of the paper's chapters, in the order to show.

    Returns
    -------
    dict of str to str
        Markdown by name: ``artifact_hardware``, ``artifact_data``, ``artifact_time``,
        ``artifact_tolerance``, ``artifact_claims`` and ``artifact_across``.
    """
    every = [record for runs in records.values() for record in runs]
    return {
        "artifact_hardware": _hardware(every),
        "artifact_data": _data(records),
        "artifact_time": _time(records),
        "artifact_tolerance": _tolerances(),
        "artifact_claims": _claims(records),
        "artifact_across": _across(records),
    }


def duration(seconds: float) -> str:
    """A time in words, to two units.

    Parameters
    ----------
    seconds : float
        Zero or more.

    Returns
    -------
    str

    Examples
    --------
    >>> [duration(s) for s in (0.4, 59.6, 150, 3599.7, 5400)]
    ['under 1 s', '1 min', '2 min 30 s', '1 h', '1 h 30 min']
    """
    whole = round(seconds)
    if whole < 1:
        return "under 1 s"
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return " ".join([f"{whole // 60} min", *([f"{whole % 60} s"] if whole % 60 else [])])
    minutes = round(seconds / 60)
    rest = [f"{minutes % 60} min"] if minutes % 60 else []
    return " ".join([f"{minutes // 60} h", *rest])


def _shown(seconds: float) -> str:
    """A time in a cell, in one line."""
    return f'<span class="text-nowrap">{duration(seconds)}</span>'


def _hardware(records: Sequence[Record]) -> str:
    """What the records were made on, and what they take on a disk."""
    if not records:
        return "No record was made yet.\n"
    devices = Counter(record.result["provenance"]["device"] for record in records)
    said = [
        f"{in_markdown(device)} ({counted(n, 'record')})" for device, n in devices.most_common()
    ]
    size = sum(
        (record.folder / name).stat().st_size
        for record in records
        for name in (RESULT, CURVES, BLOCKS)
        if (record.folder / name).exists()
    )
    return (
        f"The {counted(len(records), 'record')} of the chapters were made on {listed(said)}, and "
        f"take {size / 1e6:.1f} MB. Memory and the disk that data, weights and the environment "
        "take are not in the records.\n"
    )


def _data(records: Runs) -> str:
    """Where data and weights come from."""
    rows = []
    for name, spec in DATASETS.items():
        chapters = [chapter for chapter in records if chapter.dataset == name]
        train, validation, test = (f"{size:,}" if size else "&ndash;" for size in spec.sizes)
        address = f'<a href="{spec.address}"><code>{spec.hub_id}</code></a>'
        rows.append([in_html(spec.title), address, train, validation, test, str(len(chapters))])
    heads = ["Data set", "On the hub", "Training", "Validation", "Test", "Chapters"]
    weights = sorted(
        {
            str(checkpoint)
            for runs in records.values()
            for record in runs
            if (checkpoint := record.result["settings"]["checkpoint"])
        }
    )
    started = (
        f"Pretrained weights: {listed([*map(in_markdown, weights)])}, found by `THERMO_MODELS` or "
        "on the hub. All other networks of the records start from random weights.\n"
        if weights
        else "No network of the records starts from pretrained weights.\n"
    )
    return f"{html(heads, rows, classes='table')}\n\n{started}"


def _time(records: Runs) -> str:
    """Seconds by chapter and stage, and what all took together."""
    rows: list[list[str]] = []
    totals: dict[str, float] = {}
    for chapter, runs in records.items():
        if not runs:
            rows.append([_link(chapter), "", "0", *["not run"] * 4])
            continue
        for device, group in by_device(runs).items():
            stages = [fmean(_seconds(run, stage) for run in group) for stage in STAGES]
            totals[device] = totals.get(device, 0.0) + sum(stages) * len(group)
            train, *others = map(_shown, stages)
            more = at_least(group, "train")
            rows.append([
                _link(chapter), in_html(device), str(len(group)), more + train, *others,
                more + _shown(sum(stages)),
            ])  # fmt: skip
    heads = ["Chapter", "Device", "Seeds", *map(_stage, STAGES), "One seed"]
    table = html(heads, rows, classes="table")
    spent = "; ".join(f"{duration(total)} on {in_markdown(name)}" for name, total in totals.items())
    return f"{table}\n\nAll of them together: {spent or 'nothing was run'}.\n"


def _stage(name: str) -> str:
    return METHODS[name].title.capitalize() if name in METHODS else "Training"


def _seconds(record: Record, stage: str) -> float:
    return float(record.result["stages"][stage]["seconds"])


def _tolerances() -> str:
    rows = [
        [in_html(t.what), in_html(t.other), in_html(t.within), f"<code>{in_html(t.test)}</code>"]
        for t in TOLERANCES
    ]
    return _wide(["What", "Compared with", "Within", "Test"], rows)


def _wide(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose code breaks into lines."""
    return f":::{{div}} wide-table\n{html(heads, rows, classes='table')}\n:::\n"


def _claims(records: Runs) -> str:
    """The command of each chapter, with the claims that are about it alone."""
    alone = Counter(claim.chapters[0] for claim in claims() if len(claim.chapters) == 1)
    rows = []
    for chapter, runs in records.items():
        whole = [sum(_seconds(run, stage) for stage in STAGES) for run in runs]
        rows.append([
            _link(chapter), str(alone[chapter.name]), _command(chapter, runs),
            _shown(sum(whole)) if whole else "not run",
        ])  # fmt: skip
    return html(["Chapter", "Claims", "Command", "Time, all seeds"], rows, classes="table") + "\n"


def _code(words: Sequence[str]) -> str:
    """A command that breaks into lines between its words alone, not at their hyphens."""
    shown = [f'<span class="text-nowrap">{in_html(in_shell([word]))}</span>' for word in words]
    return f"<code>{' '.join(shown)}</code>"


def _command(chapter: Chapter, runs: Sequence[Record]) -> str:
    """The command of the first record, and what of it is another for the others."""
    if not runs:
        command = f"thermo run {chapter.model} {chapter.dataset} --profile small --results {AGAIN}"
        return _code(command.split())
    try:
        said = _code(rerun_command(runs[0]))
    except ThermoError as error:
        return in_html(error)
    if seeds := [str(run.result["seed"]) for run in runs[1:]]:
        said += f", and with seed{'' if len(seeds) == 1 else 's'} {listed(seeds)}"
    if (source := recorded(runs[0]).source) is not None:
        said += f"; trains on {in_html(DATASETS[source.dataset].title)} first"
    return f"<div>{said}</div>"  # one thing beside its head where a row is a card


def _across(records: Runs) -> str:
    """Claims about several chapters: how many of each kind, and how long their chapters take."""
    taken = {
        chapter.name: sum(_seconds(run, stage) for run in runs for stage in STAGES)
        for chapter, runs in records.items()
    }
    rows = []
    for kind, meaning in KINDS.items():
        found = [c for c in claims() if c.kind == kind and len(c.chapters) > 1]
        if found:
            names = {name for claim in found for name in claim.chapters}
            rows.append([
                in_html(meaning), str(len(found)), str(len(names)),
                _shown(sum(taken.get(name, 0.0) for name in names)),
            ])  # fmt: skip
    return html(["About", "Claims", "Chapters", "Time, all seeds"], rows, classes="table") + "\n"


def _link(chapter: Chapter) -> str:
    return f'<a href="chapters/{chapter.name}.html">{in_html(chapter.title)}</a>'
