"""The page on the artifact: every claim has a command, and every number follows from records."""

import dataclasses
import html
import re
import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion import cli
from companion.pages.artifact import EVERYTHING, TOLERANCES, artifact_pieces, duration
from companion.pages.escape import in_markdown
from companion.paper.claims import claims
from companion.runs.chapters import CHAPTERS
from companion.runs.records import Record, read_chapter
from companion.runs.settings import recorded, settings
from tests.companion.pages.conftest import made
from tests.companion.pages.test_hostile import HARMLESS, PAYLOADS, structure

ROOT = Path(__file__).parents[3]
RECORDS = {c: read_chapter(ROOT / "results", "small", c.name) for c in CHAPTERS}
PIECES = artifact_pieces(RECORDS)
PAGE = (ROOT / "book/artifact.md").read_text(encoding="utf-8")


def rows(piece):
    """The cells of a table, as text."""
    return [
        [
            html.unescape(re.sub(r"<[^>]+>", "", cell))
            for cell in re.findall(r"<td[^>]*>(.*?)</td>", row)
        ]
        for row in re.findall(r"<tr><td.*?</tr>", piece)
    ]


def one(chapter, *seeds, **changed):
    """Records of a chapter, written by hand."""
    found = []
    for seed in seeds:
        result, curves = made(chapter.model, chapter.dataset, seed, **changed)
        found.append(Record(ROOT / "nowhere", result, curves["full"]))
    return found


def test_every_claim_is_counted_once():
    alone = {row[0]: int(row[1]) for row in rows(PIECES["artifact_claims"])}
    assert list(alone) == [chapter.title for chapter in CHAPTERS]
    across = sum(int(row[1]) for row in rows(PIECES["artifact_across"]))
    assert sum(alone.values()) + across == len(claims())
    for chapter in CHAPTERS:
        assert alone[chapter.title] == sum(c.chapters == (chapter.name,) for c in claims())


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.name)
def test_the_command_of_a_chapter_asks_for_its_records(chapter):
    (row,) = [r for r in rows(PIECES["artifact_claims"]) if r[0] == chapter.title]
    first, *others = RECORDS[chapter]
    given = recorded(first)
    recipe = settings(given.model, given.dataset, given.profile, given.seed)
    said = re.match(r"(thermo run .*?)(?:, and with seeds? ([\d, and]+))?(?:; trains .*)?$", row[2])
    if said is None:  # of a size that no recipe has any more
        assert given.options != recipe.options
        assert first.result["provenance"]["git_commit"] in row[2]
        return
    options = cli._parser().parse_args(shlex.split(said[1])[1:])
    overrides = cli._overrides(options.parameter)
    asked = settings(options.model, options.dataset, options.profile, options.seed, **overrides)
    assert dataclasses.replace(asked, differs=()) == dataclasses.replace(given, differs=())
    seeds = [int(seed) for seed in re.findall(r"\d+", said[2] or "")]
    assert seeds == [record.result["seed"] for record in others]


def test_times_are_means_over_seeds_and_their_sum():
    table = iter(rows(PIECES["artifact_time"]))
    totals = {}
    for chapter in CHAPTERS:
        devices = dict.fromkeys(r.result["provenance"]["device"] for r in RECORDS[chapter])
        for device in devices:  # a mean over a processor and a GPU is neither's
            records = [r for r in RECORDS[chapter] if r.result["provenance"]["device"] == device]
            stages = [
                sum(r.result["stages"][stage]["seconds"] for r in records) / len(records)
                for stage in ("train", "renormalized", "full")
            ]
            said = [chapter.title, device, str(len(records))]
            part = any(r.result["stages"]["train"].get("resumed") for r in records)
            more = "at least " if part else ""
            train, *others = map(duration, stages)
            assert next(table) == [*said, more + train, *others, more + duration(sum(stages))]
            totals[device] = totals.get(device, 0) + sum(stages) * len(records)
    assert next(table, None) is None
    for device, total in totals.items():
        assert f"{duration(total)} on {in_markdown(device)}" in PIECES["artifact_time"]


def seconds(text):
    """The time that words stand for."""
    units = {"h": 3600, "min": 60, "s": 1}
    return sum(int(n) * units[unit] for n, unit in re.findall(r"(\d+) (h|min|s)", text))


@given(st.floats(0, 1e6))
def test_a_time_in_words_is_the_time(time):
    text = duration(time)
    if text == "under 1 s":
        assert time <= 0.5
    else:
        assert abs(seconds(text) - time) <= (0.5 if time < 3599.5 else 30) * (1 + 1e-9)
        assert not re.search(r"\b0 |60 (s|min)", text)


@pytest.mark.parametrize("tolerance", TOLERANCES, ids=lambda tolerance: tolerance.test)
def test_what_compares_is_there(tolerance):
    file, _, name = tolerance.test.partition("::")
    text = (ROOT / file).read_text(encoding="utf-8")
    assert not name or f"\ndef {name}(" in text
    assert tolerance.test in html.unescape(PIECES["artifact_tolerance"])


def test_tolerances_in_numbers_are_those_of_the_tests():
    within = {t.test.partition("::")[2]: t.within for t in TOLERANCES}
    text = (ROOT / "tests/companion/runs/test_committed_records.py").read_text()
    accuracy = re.search(r"^ACCURACY_TOLERANCE = (\S+)$", text, re.MULTILINE)
    steps = re.search(r"^TAU_TOLERANCE = (\S+)$", text, re.MULTILINE)
    assert within["test_the_cheapest_record_runs_again"] == (
        f"accuracy {accuracy[1]}, thresholds {steps[1]} steps of the grid"
    )
    text = (ROOT / "tests/thermo_utils/test_thermodynamics.py").read_text()
    body = text.split("def test_closed_form_exponential(")[1].split("\ndef ")[0]
    assert f"rtol={within['test_closed_form_exponential']}" in body


def test_commands_of_the_page_exist():
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    lines = [
        line.split("#")[0].strip()
        for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)
        for line in block.splitlines()
    ]
    assert EVERYTHING in lines
    for line in lines:
        program, *words = shlex.split(line)
        if program == "make":
            assert words[0] in targets
        elif program == "thermo":
            assert cli._parser().parse_args(words)
        else:
            assert line == EVERYTHING
    included = set(re.findall(r"generated/(artifact_\w+)\.md", PAGE))
    assert included == set(PIECES)


def test_data_and_weights_are_those_of_the_records():
    table = rows(PIECES["artifact_data"])
    hubs = {record.result["data"]["source"].split()[0] for r in RECORDS.values() for record in r}
    assert {row[1] for row in table} == hubs
    assert sum(int(row[-1]) for row in table) == len(CHAPTERS)
    weights = {
        record.result["settings"]["checkpoint"] for runs in RECORDS.values() for record in runs
    } - {None}
    assert all(name in PIECES["artifact_data"] for name in weights)


def test_devices_are_counted():
    some = {CHAPTERS[0]: one(CHAPTERS[0], 0, 1), CHAPTERS[1]: one(CHAPTERS[1], 0)}
    for record in some[CHAPTERS[0]]:
        record.result["provenance"] = {**record.result["provenance"], "device": "GPU"}
    some[CHAPTERS[1]][0].result["provenance"]["device"] = "CPU"
    said = artifact_pieces(some)["artifact_hardware"]
    assert "The 3 records of the chapters were made on GPU (2 records) and CPU (1 record)" in said


def test_a_chapter_that_was_not_run_is_there_with_a_command():
    chapter = CHAPTERS[0]
    pieces = artifact_pieces({chapter: []})
    assert rows(pieces["artifact_time"]) == [[chapter.title, "", "0", *["not run"] * 4]]
    ((_, _, command, time),) = rows(pieces["artifact_claims"])
    assert command == "thermo run mlp cifar10 --profile small --results again"
    assert time == "not run"
    assert pieces["artifact_hardware"] == "No record was made yet.\n"


@pytest.mark.parametrize("payload", PAYLOADS)
def test_text_of_others_is_shown_as_text(payload):
    shapes = []
    for text in (payload, HARMLESS):
        records = one(CHAPTERS[0], 0) + one(CHAPTERS[10], 0)
        records[0].result["settings"]["checkpoint"] = text
        records[0].result["provenance"]["git_commit"] = text
        records[1].result["provenance"]["device"] = text
        records[1].result["settings"]["precision"] = text
        found = artifact_pieces({CHAPTERS[0]: records[:1], CHAPTERS[10]: records[1:]})
        shapes.append({name: structure(piece) for name, piece in found.items()})
    assert shapes[0] == shapes[1]


def test_a_run_that_starts_from_another_says_so():
    chapter = next(c for c in CHAPTERS if c.name == "resnet18-flowers102")
    records = one(chapter, 0)
    given = dataclasses.asdict(settings("resnet18", "flowers102", "small"))
    records[0].result["settings"] = given | {"differs": list(given["differs"])}
    ((_, _, command, _),) = rows(artifact_pieces({chapter: records})["artifact_claims"])
    assert command.endswith("--results again; trains on CIFAR-10 first")


def test_no_path_of_this_machine_is_on_the_page():
    assert not [name for name, piece in PIECES.items() if str(ROOT) in piece]
