"""What is to be run again: records older than their recipe, and seeds that are missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from companion.pages.escape import in_markdown
from companion.pages.tables import markdown
from companion.runs.chapters import CHAPTERS, added
from companion.runs.outdated import changed, outdated
from companion.runs.records import Record
from companion.runs.settings import recorded, settings

__all__ = ["SEEDS", "outdated_text"]

#: Seeds of a chapter on real data; generated data are for trying, with one.
SEEDS: Final = (0, 1, 2)


def outdated_text(profile: str, chapters: Mapping[str, Sequence[Record]]) -> str:
    """What is to be run again, with the commands.

    Parameters
    ----------
    profile : str
        Whose records they are.
    chapters : mapping of str to sequence of Record
        By name of chapter, one per seed.

    Returns
    -------
    str
        Markdown.
    """
    seeds = SEEDS[:1] if profile == "demo" else SEEDS
    rows, counted = [], 0
    for chapter in (*CHAPTERS, *added(profile)):
        records = {r.result["seed"]: r for r in chapters.get(chapter.name, ())}
        for seed in sorted({*seeds, *records}):
            counted += 1
            command = f"thermo run {chapter.model} {chapter.dataset} --profile {profile}"
            command += f" --seed {seed}" if seed else ""
            if seed not in records:
                why = "not run with the settings of the others" if records else "not run"
            else:
                recipe = settings(chapter.model, chapter.dataset, profile, seed)
                why = "; ".join(outdated(records[seed], recipe))
                # Else the record is in the way; a training of the same settings serves again.
                command += " --force" if changed(recorded(records[seed]), recipe) else ""
            if why:
                link = f"[{in_markdown(chapter.title)}](chapters/{chapter.name})"
                rows.append([link, seed, f"`{command}`", in_markdown(why)])
    if not rows:
        return "Nothing: every record is of today's recipe, and no seed is missing.\n"
    said = f"{len(rows)} of {counted} runs:\n\n"
    return said + markdown(["chapter", "seed", "command", "why"], rows) + "\n"
