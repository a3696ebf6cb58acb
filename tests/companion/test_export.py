"""Archives of records: what the profile of RO-Crate asks for, and that they are whole."""

import dataclasses
import datetime
import json
import os
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from rocrate.rocrate import ROCrate

from companion import cli
from companion.export import archive, crate, export
from companion.export.chosen import EPOCH, chosen, newest
from companion.export.crate import CODE, MAIN, NEEDED, PROFILES
from companion.export.guide import commands_text
from companion.export.runs import OUTPUTS
from companion.pages.check import check
from companion.paper.citation import AUTHORS_CODE, doi_address, paper
from companion.runs.committed import LIST
from companion.runs.records import RESULT, read_record, sha256
from companion.runs.settings import settings
from thermo_utils.errors import ThermoError

ROOT = Path(__file__).parents[2]
COMMITTED = ROOT / "results"
METADATA = archive.METADATA
#: Records of all kinds: several seeds, other settings, no blocks, tables beside, no command.
SOME = (
    "small/mlp-cifar10", "small/mlp-cifar10/seed-1", "small/cnn-flowers102/with-8a5a815a",
    "small/bert-yelp", "small/t5-ag_news",
)  # fmt: skip


def copied(target, names=SOME):
    """A folder of results with the files of some committed records."""
    for name in names:
        (target / name).mkdir(parents=True, exist_ok=True)
        for path in (COMMITTED / name).glob("*"):
            if path.is_file() and path.suffix in (".json", ".csv"):
                shutil.copy2(path, target / name)
    return target


def listed(results, names=SOME):
    """The same with the list that says that they came with the project."""
    listing = {name: sha256((results / name / RESULT).read_bytes()) for name in names}
    (results / LIST).write_text(json.dumps(listing))
    return results


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return listed(copied(tmp_path_factory.mktemp("results")))


@pytest.fixture
def few(monkeypatch):
    """Most of the code is left out where it does not matter, which is what takes longest."""
    monkeypatch.setattr(crate, "CODE", ("companion/runs",))


@pytest.fixture(scope="module")
def folder(results, tmp_path_factory):
    return export(results, tmp_path_factory.mktemp("made") / "crate", progress=False)


@pytest.fixture(scope="module")
def graph(folder):
    metadata = json.loads((folder / METADATA).read_text(encoding="utf-8"))
    entities = {entity["@id"]: entity for entity in metadata["@graph"]}
    assert len(entities) == len(metadata["@graph"])
    return entities


def many(value):
    return value if isinstance(value, list) else [value]


def kinds(entity):
    return set(many(entity["@type"]))


def of_kind(graph, kind):
    return [entity for entity in graph.values() if kind in kinds(entity)]


def pointed(graph, entity, name):
    """What an entity refers to by a property."""
    return [graph[reference["@id"]] for reference in many(entity.get(name, []))]


def references(value):
    """Every reference in a piece of metadata."""
    if isinstance(value, dict):
        if set(value) == {"@id"}:
            yield value["@id"]
        else:
            for inner in value.values():
                yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


# -- whole ---------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("error")
def test_every_file_is_described_and_is_what_is_said(folder):
    crate = ROCrate(folder)
    described = {}
    for entity in crate.data_entities:
        content = (folder / entity.id).read_bytes()
        assert entity["sha256"] == sha256(content)
        assert entity["contentSize"] == str(len(content))
        assert entity["encodingFormat"]
        described[entity.id] = entity
    there = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert set(described) == there - {METADATA}


def test_no_reference_leads_nowhere(graph):
    specification = "https://w3id.org/ro/crate/1.1"
    for entity in graph.values():
        assert set(references(entity)) - {specification} <= set(graph)


def test_the_records_are_the_ones_that_were_chosen_and_good(folder, results):
    assert check(folder / "results") == check(results)
    assert check(results)[1] == []
    for name in SOME:
        for path in (results / name).glob("*"):
            if path.is_file():
                assert (folder / "results" / name / path.name).read_bytes() == path.read_bytes()


def test_what_a_run_needs_is_there(folder):
    for name in NEEDED:
        assert (folder / name).read_bytes() == (ROOT / name).read_bytes()
    done = subprocess.run(
        ["git", "ls-files", *CODE], cwd=ROOT, capture_output=True, text=True, check=False
    )
    for name in done.stdout.split():
        assert (folder / name).exists() or not (ROOT / name).exists()
    assert not list(folder.rglob("*.pyc"))
    notebooks = {path.name for path in (folder / "notebooks").iterdir()}
    assert notebooks == {"mlp.md", "cnn.md", "bert.md", "t5.md"}


# -- the profile ---------------------------------------------------------------------------------


def test_the_root_says_what_it_is_by_whom_from_when_and_under_which_licence(graph):
    metadata, root = graph[METADATA], graph["./"]
    assert metadata["about"] == {"@id": "./"}
    said = {reference["@id"] for reference in metadata["conformsTo"]}
    assert said == {"https://w3id.org/ro/crate/1.1", PROFILES[-1][0]}
    assert kinds(root) == {"Dataset"}
    conforming = pointed(graph, root, "conformsTo")
    assert [(p["@id"], p["name"], p["version"]) for p in conforming] == list(PROFILES)
    assert all(kinds(profile) == {"CreativeWork"} for profile in conforming)
    assert root["name"]
    assert root["description"]
    assert datetime.datetime.fromisoformat(root["datePublished"]).tzinfo
    (licence,) = pointed(graph, root, "license")
    assert licence["@id"] == "https://spdx.org/licenses/MIT"
    (author,) = pointed(graph, root, "author")
    assert kinds(author) == {"Organization"}


def test_the_paper_is_cited_with_its_doi_and_authors(graph):
    article, own = pointed(graph, graph["./"], "citation")
    assert article["@id"] == doi_address(paper()["doi"])
    names = [author["familyName"] for author in pointed(graph, article, "author")]
    assert names == [author["family-names"] for author in paper()["authors"]]
    assert own["@id"] == AUTHORS_CODE
    assert "not available to us" in own["description"]


def test_the_main_entity_is_a_workflow_with_its_parts(graph):
    (main,) = pointed(graph, graph["./"], "mainEntity")
    assert main["@id"] == MAIN
    workflow = {"File", "SoftwareSourceCode", "ComputationalWorkflow"}
    assert kinds(main) == workflow
    (language,) = pointed(graph, main, "programmingLanguage")
    assert kinds(language) == {"ComputerLanguage"}
    assert all(kinds(part) == workflow for part in pointed(graph, main, "hasPart"))
    slots = [*pointed(graph, main, "input"), *pointed(graph, main, "output")]
    assert {slot["@id"] for slot in slots} == {
        slot["@id"] for slot in of_kind(graph, "FormalParameter")
    }
    assert all(slot["additionalType"] and slot["name"] for slot in slots)


def test_every_run_is_an_action_of_the_workflow(graph):
    actions = of_kind(graph, "CreateAction")
    assert pointed(graph, graph["./"], "mentions") == actions
    assert len(actions) == len(SOME)
    for action in actions:
        main, notebook = pointed(graph, action, "instrument")
        assert main["@id"] == MAIN
        assert notebook["@id"].startswith("notebooks/")
        assert notebook in pointed(graph, main, "hasPart")
        assert action["name"]
        assert action["description"]
        assert action["actionStatus"] == "http://schema.org/CompletedActionStatus"
        (agent,) = pointed(graph, action, "agent")
        assert kinds(agent) == {"Organization"}
        for used in pointed(graph, action, "object"):
            assert kinds(used) <= {"CreativeWork", "PropertyValue"}
            assert used["name"]
        for made in pointed(graph, action, "result"):
            assert kinds(made) == {"File"}
            (slot,) = pointed(graph, made, "exampleOfWork")
            assert slot["name"] == Path(made["@id"]).name
        # A record does not say when; nor does the archive.
        assert not {"startTime", "endTime"} & set(action)


def test_every_slot_that_is_filled_is_one_of_the_command(graph):
    words = vars(cli._parser().parse_args(["run", "mlp", "cifar10"]))
    for value in of_kind(graph, "PropertyValue"):
        for slot in pointed(graph, value, "exampleOfWork"):
            assert slot["name"] == value["name"]
            name = slot["name"]
            assert name in words or settings("mlp", "cifar10", **{name: None})


# -- what it says of a run -----------------------------------------------------------------------


@pytest.mark.parametrize("name", SOME)
def test_a_run_has_the_settings_data_and_files_of_its_record(graph, results, name):
    record = read_record(results / name)
    action = graph[f"#{name}"]
    used = pointed(graph, action, "object")
    values = {e["name"]: e["value"] for e in used if kinds(e) == {"PropertyValue"}}
    assert values.pop("data fingerprint") == record.result["data"]["fingerprint"]
    said = record.result["settings"]
    for key, value in said.items():
        if key == "differs":
            assert key not in values
        elif value is None:
            assert values.pop(key, None) in (None, "all", "none")
        else:
            assert values.pop(key) == (json.dumps(value) if key == "options" else value)
    assert values == {}
    (data,) = [entity for entity in used if kinds(entity) == {"CreativeWork"}]
    assert data["identifier"] in record.result["data"]["source"]
    assert data["url"].endswith(data["identifier"])
    made = {Path(entity["@id"]).name: entity for entity in pointed(graph, action, "result")}
    assert made["curves.csv"]["sha256"] == record.result["curves_sha256"]
    assert set(made) == {n for n in OUTPUTS if (results / name / n).exists()}
    assert str(record.result["provenance"]["git_commit"]) in action["description"]


@pytest.mark.parametrize("name", SOME)
def test_the_command_of_a_run_asks_for_its_settings(folder, graph, results, name):
    given = read_record(results / name).result["settings"]
    command = graph[f"#{name}"]["description"].splitlines()[0]
    lines = (folder / "commands.txt").read_text(encoding="utf-8").splitlines()
    listed_here = lines[lines.index(f"# results/{name}") + 1]
    if name == "small/t5-ag_news" and not command.startswith("thermo run"):
        assert listed_here.startswith("# no command: ")
        return
    assert listed_here == command
    options = cli._parser().parse_args(shlex.split(command)[1:])
    asked = settings(
        options.model, options.dataset, options.profile, options.seed,
        **cli._overrides(options.parameter),
    )  # fmt: skip
    for key, value in given.items():
        if key not in ("differs", "pretrain_epochs"):
            assert getattr(asked, key) == value, key


@pytest.mark.usefixtures("few")
def test_what_was_run_here_has_no_agent(tmp_path):
    here = copied(tmp_path / "results", SOME[:1])
    found = export(here, tmp_path / "crate", progress=False)
    text = (found / METADATA).read_text(encoding="utf-8")
    (action,) = [e for e in json.loads(text)["@graph"] if e["@type"] == "CreateAction"]
    assert "agent" not in action


def of_ones_own(results):
    """A record of a network that is not registered."""
    place = results / "small" / "mine-cifar10"
    place.parent.mkdir(parents=True)
    shutil.copytree(COMMITTED / "small/mlp-cifar10/seed-1", place / "seed-1")
    for beside in place.rglob("scale.*"):
        beside.unlink()
    path = place / "seed-1" / RESULT
    result = json.loads(path.read_text())
    result["model"] = result["settings"]["model"] = "mine"
    result["figure"] = None
    path.write_text(json.dumps(result))
    return results


@pytest.mark.usefixtures("few")
def test_a_network_of_ones_own_has_an_instrument_too(tmp_path):
    found = export(of_ones_own(tmp_path / "results"), tmp_path / "crate", progress=False)
    entities = {e["@id"]: e for e in json.loads((found / METADATA).read_text())["@graph"]}
    action = entities["#small/mine-cifar10/seed-1"]
    (instrument,) = pointed(entities, action, "instrument")
    assert instrument["@id"] == "companion/runs/run.py"
    assert "SoftwareSourceCode" in kinds(instrument)
    assert "mine is no registered network" in action["description"]
    # Nothing here is a run of the command: the profile that asks for one is not claimed.
    conforming = [reference["@id"] for reference in entities["./"]["conformsTo"]]
    assert conforming == [PROFILES[0][0], PROFILES[2][0]]


def test_nothing_that_a_record_brings_along_becomes_a_command(results):
    (found,) = chosen(results, names=["bert-yelp"])
    for section, name in (("settings", "model"), ("settings", "checkpoint"),
                          ("provenance", "git_commit")):  # fmt: skip
        record = read_record(found.record.folder)
        record.result[section][name] = "a\n\u2028\rrm -r ~ # $(rm) `rm` '"
        if name == "git_commit":
            record.result["settings"]["precision"] = "8-bit"
        text = commands_text([dataclasses.replace(found, record=record)])
        words = shlex.split(text, comments=True)
        assert words == [] or record.result["settings"]["checkpoint"] in words
        assert words[:2] in ([], ["thermo", "run"])


# -- which records -------------------------------------------------------------------------------


def names_of(found):
    return [one.name for one in found]


def test_only_what_came_with_the_project_goes_in_unasked(tmp_path):
    here = listed(copied(tmp_path), SOME[:2])
    assert names_of(chosen(here)) == list(SOME[:2])
    assert names_of(chosen(here, every=True)) == sorted(SOME)
    assert [one.committed for one in chosen(here, every=True)] == [
        name in SOME[:2] for name in sorted(SOME)
    ]


def test_without_a_list_everything_goes_in(tmp_path):
    here = copied(tmp_path)
    (here / ".work").mkdir()
    shutil.copytree(here / SOME[0], here / ".work" / "small" / "mlp-cifar10")
    assert names_of(chosen(here)) == sorted(SOME)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["mlp-cifar10"], SOME[:2]),
        (["small/mlp-cifar10/"], SOME[:2]),
        (["small/mlp-cifar10/seed-1"], SOME[1:2]),
        (["t5-ag_news", "bert-yelp"], ("small/bert-yelp", "small/t5-ag_news")),
        (["small"], sorted(SOME)),
    ],
)
def test_records_by_name(results, names, expected):
    assert names_of(chosen(results, names=names)) == list(expected)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"names": ["mlp-cifar"]}, "unknown record 'mlp-cifar': did you mean 'mlp-cifar10'"),
        ({"names": ["small/mlp"]}, "unknown record 'small/mlp': .*small/mlp-cifar10/seed-1"),
        ({"names": [""]}, "unknown record ''"),
        ({"profile": "smal"}, "unknown profile 'smal': did you mean 'small'"),
        ({"profile": "paper"}, "no records in .*paper: run a chapter first"),
    ],
)
def test_records_that_are_not_there(results, how, message):
    with pytest.raises(ThermoError, match=message):
        chosen(results, **how)


def test_a_committed_record_that_was_replaced_is_told_of(tmp_path):
    here = listed(copied(tmp_path))
    shutil.rmtree(here / "small/t5-ag_news")
    path = here / "small/bert-yelp" / RESULT
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(ThermoError, match=r"small/bert-yelp, small/t5-ag_news .* are gone or repl"):
        chosen(here)
    assert len(chosen(here, every=True)) == len(SOME) - 1


def test_the_date_is_that_of_the_newest_record(tmp_path, monkeypatch):
    monkeypatch.delenv(EPOCH, raising=False)
    here = copied(tmp_path, SOME[:2])
    for seconds, name in ((1_700_000_000, SOME[0]), (1_600_000_000, SOME[1])):
        os.utime(here / name / RESULT, (seconds, seconds))
    found = chosen(here)
    assert newest(found).isoformat() == "2023-11-14T22:13:20+00:00"
    assert newest(found[1:]).timestamp() == 1_600_000_000
    monkeypatch.setenv(EPOCH, "1500000000")
    assert newest(found).timestamp() == 1_500_000_000
    for bad in ("yesterday", "9" * 40):
        monkeypatch.setenv(EPOCH, bad)
        with pytest.raises(ThermoError, match="SOURCE_DATE_EPOCH must be seconds since 1970"):
            newest(found)


def test_of_committed_records_git_knows_the_date(tmp_path, monkeypatch):
    monkeypatch.delenv(EPOCH, raising=False)
    here = listed(copied(tmp_path / "results", SOME[:1]), SOME[:1])
    when = {"GIT_COMMITTER_DATE": "2025-05-05T05:05:05Z", "GIT_AUTHOR_DATE": "2025-01-01T00:00:00Z"}
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "a"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True, env=os.environ | when)
    assert newest(chosen(here)).isoformat() == "2025-05-05T05:05:05+00:00"


# -- on disk -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("few")
def test_the_same_records_give_the_same_bytes(tmp_path, results, monkeypatch):
    monkeypatch.setenv(EPOCH, "1700000000")
    one, two = (export(results, tmp_path / f"{n}.zip", progress=False) for n in "ab")
    assert one.read_bytes() == two.read_bytes()
    monkeypatch.setenv(EPOCH, "1700086400")
    other = export(results, tmp_path / "c.zip", progress=False)
    with zipfile.ZipFile(one) as before, zipfile.ZipFile(other) as after:
        assert before.namelist() == after.namelist() == sorted(before.namelist())
        different = [n for n in before.namelist() if before.read(n) != after.read(n)]
        assert different == ["ARTIFACT.md", METADATA]
        dates = {entry.date_time for entry in after.infolist()}
        assert dates == {(2023, 11, 15, 22, 13, 20)}
        root = {e["@id"]: e for e in json.loads(after.read(METADATA))["@graph"]}["./"]
        assert root["datePublished"] == "2023-11-15T22:13:20+00:00"
        assert [n for n in different if b"2023-11-14" not in before.read(n)] == []


def test_a_zip_holds_what_the_folder_holds(tmp_path, results, folder):
    made = export(results, tmp_path / "crate.zip", progress=False)
    with zipfile.ZipFile(made) as packed:
        assert packed.testzip() is None
        for name in packed.namelist():
            assert packed.read(name) == (folder / name).read_bytes()
    assert ROCrate(made).mainEntity.id == MAIN


def damaged(results):
    here = copied(results, SOME[:2])
    path = here / SOME[1] / "curves.csv"
    path.write_bytes(path.read_bytes().replace(b"1", b"2", 1))
    return here


@pytest.mark.parametrize("name", ["crate", "crate.zip"])
@pytest.mark.usefixtures("few")
def test_a_damaged_record_is_one_error_and_nothing_is_written(tmp_path, capsys, name):
    here = damaged(tmp_path / "results")
    target = tmp_path / "out" / name
    target.parent.mkdir()
    words = ["export", "--results", str(here), "-o", str(target), "--quiet"]
    assert cli.main(words) == cli.REFUSED
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"{SOME[1]}/curves.csv is damaged" in error
    assert list(target.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("file", "message"),
    [("variants.csv", "variants.csv is damaged"), ("blocks.csv", "blocks.csv is damaged"),
     ("scale.csv", "scale.csv is damaged"), ("curves.csv", "curves.csv is missing")],
)  # fmt: skip
def test_what_lies_beside_a_record_is_checked_too(tmp_path, file, message):
    here = copied(tmp_path, SOME[:1])
    path = here / SOME[0] / file
    assert path.exists()
    path.unlink()
    with pytest.raises(ThermoError, match=message):
        chosen(here)


@pytest.mark.usefixtures("few")
def test_an_archive_is_replaced_only_when_asked_to(tmp_path, results):
    for target in (tmp_path / "crate", tmp_path / "crate.zip"):
        export(results, target, names=["bert-yelp"], progress=False)
        with pytest.raises(ThermoError, match="is there already: name another target, or take"):
            export(results, target, progress=False)
        export(results, target, names=["t5-ag_news"], force=True, progress=False)
        found = ROCrate(target)
        assert [a.id for a in found.contextual_entities if a.type == "CreateAction"] == [
            "#small/t5-ag_news"
        ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["crate", "crate.zip"]


@pytest.mark.usefixtures("few")
def test_nothing_but_an_archive_is_replaced(tmp_path, results):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.jpg").write_text("precious")
    (tmp_path / "folder.zip").mkdir()
    (tmp_path / "text.zip").write_text("no archive")
    (tmp_path / "file").write_text("no folder")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as other:
        other.writestr("a", "b")
    (tmp_path / "link").symlink_to(tmp_path / "photos")
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    before = sorted(path.name for path in tmp_path.rglob("*"))
    for path in list(tmp_path.iterdir()):
        with pytest.raises(ThermoError, match="was not written by thermo export"):
            export(results, path, force=True, progress=False)
    with pytest.raises(ThermoError, match=r"no folder .*missing: make it"):
        export(results, tmp_path / "missing" / "crate", progress=False)
    assert sorted(path.name for path in tmp_path.rglob("*")) == before


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("name", ["crate", "crate.zip"])
@pytest.mark.usefixtures("few")
def test_what_is_stopped_leaves_what_was_there(tmp_path, results, monkeypatch, error, name):
    target = export(results, tmp_path / name, names=["bert-yelp"], progress=False)
    before = (target / METADATA if target.is_dir() else target).read_bytes()

    def stop(*arguments, **options):
        raise error

    monkeypatch.setattr(archive, "_zip", stop)
    monkeypatch.setattr(Path, "rename", stop)
    with pytest.raises(type(error)):
        export(results, target, force=True, progress=False)
    monkeypatch.undo()
    assert (target / METADATA if target.is_dir() else target).read_bytes() == before
    assert list(tmp_path.iterdir()) == [target]


def test_without_a_clone_it_is_refused(tmp_path, results):
    for name in ("CITATION.cff", MAIN, "notebooks/bert.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    with pytest.raises(ThermoError, match=r"constraints\.txt cannot be read: .*needs a clone"):
        export(results, tmp_path / "crate", names=["bert-yelp"], root=tmp_path, progress=False)
    assert not (tmp_path / "crate").exists()


@pytest.mark.usefixtures("few")
def test_the_command_prints_where_it_is_and_shows_how_far(tmp_path, results, capsys):
    target = tmp_path / "crate.zip"
    words = ["export", "small/bert-yelp", "--results", str(results), "-o", str(target)]
    assert cli.main(words) == 0
    shown = capsys.readouterr()
    assert shown.out == f"{target}\n"
    assert "packing" in shown.err
    assert cli.main([*words, "--force", "--quiet"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.slow
def test_what_is_in_an_archive_runs(tmp_path, folder):
    command = [sys.executable, "-m", "companion.cli"]
    environment = os.environ | {"PYTHONPATH": str(folder)}

    def thermo(*words):
        done = subprocess.run(
            [*command, *words], cwd=folder, env=environment, capture_output=True, text=True,
            check=True,
        )  # fmt: skip
        return done.stdout

    assert thermo("check").endswith("all good\n")
    # Tiny networks on synthetic data, by the code and the notebook of the archive.
    words = shlex.split("-p epochs 1 -p train_size 200 -p test_size 100 --quiet")
    thermo("run", "mlp", "cifar10", "--results", str(tmp_path), *words)
    (path,) = tmp_path.glob(f"demo/mlp-cifar10/*/{RESULT}")
    assert read_record(path.parent).result["synthetic"]


@pytest.mark.slow
def test_all_committed_records_fit_in(tmp_path):
    made = export(COMMITTED, tmp_path / "crate.zip", every=True, progress=False)
    with zipfile.ZipFile(made) as packed:
        found = {name for name in packed.namelist() if name.endswith(f"/{RESULT}")}
    assert len(found) == len(list(COMMITTED.rglob(RESULT)))
