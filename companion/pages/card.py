"""A record's card: settings, cost, where it was made and of what, and how to make it again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from companion.pages.escape import in_html, in_markdown
from companion.pages.seeds import timed
from companion.pages.setting_words import setting_words
from companion.pages.tables import counted
from companion.pages.wording import listed
from companion.paper.setup import differences
from companion.runs.command import AGAIN, in_shell, rerun_command
from companion.runs.methods import CURVES, METHODS
from companion.runs.records import Record, place
from companion.runs.settings import recorded
from thermo_utils.errors import ThermoError

__all__ = ["card"]

#: Digits of hashes that are shown.
DIGITS = 10
#: More characters than this take the whole width.
LONG = 110
#: Settings that are told elsewhere on the card.
ELSEWHERE = ("seed", "profile")


def card(
    record: Record,
    siblings: Sequence[Record] = (),
    *,
    committed: bool,
    links: Mapping[str, str] | None = None,
) -> str:
    """The card of a record.

    Parameters
    ----------
    record : Record
        The run to show.
    siblings : sequence of Record, optional
        Runs of the same settings with other seeds.
    committed : bool
        Whether the records came with the project or were made on this machine.
    links : mapping of str to str, optional
        Addresses of the record's files by what they are called, relative to the page.

    Returns
    -------
    str
        Markdown with a list in HTML, and a command for each seed that computes it again.
    """
    runs = sorted([record, *siblings], key=lambda run: int(run.result["seed"]))
    rows = {**_settings(runs), **_runs(runs), **_made(runs), **_origin(runs, committed)}
    cells = [_cell(name, in_html(text), long=len(text) > LONG) for name, text in rows.items()]
    if links:
        files = ", ".join(
            f'<a href="{in_html(target)}" download>{in_html(name)}</a>'
            for name, target in links.items()
        )
        cells.append(_cell("files", files, long=False))
    return "\n".join(
        ["## The run", "", '<dl class="record-card">', *cells, "</dl>", "", _again(runs)]
    )


def _cell(name: str, html: str, *, long: bool) -> str:
    """An entry of the list; what is long takes a line of its own."""
    kind = ' class="long"' if long else ""
    return f"<div{kind}><dt>{in_html(name)}</dt><dd>{html}</dd></div>"


def _settings(runs: Sequence[Record]) -> dict[str, str]:
    """What was asked for, and what of it differs from the paper."""
    words = setting_words(recorded(runs[0]))
    rows = {name: text for name, text in words.items() if name not in ELSEWHERE}
    if runs[0].result["synthetic"]:
        rows["dataset"] = f"synthetic {rows['dataset']}"
    found = [note.text for note in differences(run.result for run in runs)]
    return {**rows, "differs from the paper": "; ".join(found) or "nothing that we know of"}


def _runs(runs: Sequence[Record]) -> dict[str, str]:
    """What the runs took."""
    first = runs[0].result
    seconds = {name: timed(runs, name, " s") for name in ("train", *reversed(CURVES))}
    epochs = _by_seed(runs, lambda run: counted(run.result["metrics"]["epochs"], "epoch"))
    rows = {"seeds" if len(runs) > 1 else "seed": listed([str(run.result["seed"]) for run in runs])}
    rows["training took"] = f"{seconds['train']}, {epochs}"
    for method in reversed(CURVES):
        points = _by_seed(runs, partial(_points, method))
        rows[f"{METHODS[method].short} took"] = f"{seconds[method]}, {points}"
    rows["parameters"] = f"{first['metrics']['parameters']:,}"
    return rows


def _points(method: str, run: Record) -> str:
    return counted(len(run.curve(method)), "threshold")


def _made(runs: Sequence[Record]) -> dict[str, str]:
    """On what, by which code and with which versions."""

    def commit(run: Record) -> str:
        found = run.result["provenance"]["git_commit"]
        if not found:
            return "not a checkout"
        clean = found.removesuffix("-dirty")
        return clean[:DIGITS] + (" with changes" if clean != found else "")

    def versions(run: Record) -> str:
        made = run.result["provenance"]
        packages = {"python": made["python"], **made["packages"]}
        return ", ".join(f"{name} {version}" for name, version in packages.items() if version)

    return {
        "device": _by_seed(runs, lambda run: str(run.result["provenance"]["device"])),
        "commit": _by_seed(runs, commit),
        "versions": _by_seed(runs, versions),
    }


def _origin(runs: Sequence[Record], committed: bool) -> dict[str, str]:
    """From which data, and where the record lies."""

    def sizes(run: Record) -> str:
        data = run.result["data"]
        parts = (
            f"{data[part]:,} {name}"
            for part, name in (
                ("train", "training"),
                ("validation", "validation"),
                ("test", "test"),
            )
        )
        return f"{data['source']}: {', '.join(parts)}"

    where = "came with the project" if committed else "run on this machine"
    return {
        "data": _by_seed(runs, sizes),
        "data fingerprint": _by_seed(runs, lambda run: str(run.result["data"]["fingerprint"][:16])),
        "record": f"{_folder(runs[0]).as_posix()}, {where}",
    }


def _by_seed(runs: Sequence[Record], say: Callable[[Record], str]) -> str:
    """What the runs have in common, or what each seed has."""
    seeds: dict[str, list[str]] = {}
    for run in runs:
        seeds.setdefault(say(run), []).append(str(run.result["seed"]))
    if len(seeds) == 1:
        return next(iter(seeds))
    return "; ".join(
        f"{text} (seed{'' if len(some) == 1 else 's'} {listed(some)})"
        for text, some in seeds.items()
    )


def _folder(record: Record) -> Path:
    """A record's folder below that of all results, wherever these lie."""
    profile, _, _ = place(record.folder)
    parts = record.folder.absolute().parts
    start = len(parts) - 1 - parts[::-1].index(profile)
    return Path(*parts[start:])


def _again(runs: Sequence[Record]) -> str:
    """A command for each seed, or why there is none."""
    lines, reasons = [], []
    for run in runs:
        try:  # what is said of a folder says nothing of this machine
            command = rerun_command(Record(_folder(run), run.result, b""))
        except ThermoError as error:
            reasons.append(str(error))
        else:
            lines.append(in_shell(command))
    if reasons:
        return f"**It cannot be run again by a command:** {in_markdown('; '.join(reasons))}.\n"
    which = "this record" if len(runs) == 1 else "these records, seed by seed,"
    block = "\n".join(lines)
    return (
        f"To compute {which} with the same settings again, into the folder `{AGAIN}`:\n\n"
        f"```bash\n{block}\n```\n{_sources(runs[0])}"
    )


def _sources(record: Record) -> str:
    """Where the command takes data and weights from."""
    given = recorded(record)
    what = {"data": "THERMO_DATA", "checkpoint": "THERMO_MODELS"}
    if given.synthetic:
        what.pop("data")
    if not given.checkpoint:
        what.pop("checkpoint")
    if not what:
        return ""
    return (
        f"\nThe {listed(list(what))} {'is' if list(what) == ['checkpoint'] else 'are'} loaded from "
        f"the hub, or from the folder{'s' if len(what) > 1 else ''} that "
        f"{listed([f'`{name}`' for name in what.values()])} name{'' if len(what) > 1 else 's'}.\n"
    )
