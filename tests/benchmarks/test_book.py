"""The record of the book's own time: complete, whole or not there, and shown."""

from __future__ import annotations

import sys

import pytest

from benchmarks import book
from companion.pages.book_times import FILE, PARTS, book_times_text
from companion.pages.survives import read_facts
from thermo_utils import ThermoError


def test_the_processor_time_of_a_command_is_its_own_and_its_childrens():
    burn = "import time\nwhile time.process_time() < 0.5: pass"
    inner = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}])"
    seconds = book.run((sys.executable, "-c", inner))
    assert seconds["processor"] >= 0.5
    idle = book.run((sys.executable, "-c", "import time; time.sleep(0.5)"))
    assert idle["wall"] >= 0.5
    assert idle["processor"] < 0.5


def test_a_command_that_fails_is_told_with_its_last_words():
    with pytest.raises(ThermoError, match=r"failed: .*no such thing"):
        book.run((sys.executable, "-c", "raise SystemExit('first\\nno such thing')"))


@pytest.fixture
def asked(monkeypatch):
    """What would be run."""
    commands = []

    def run(command, folder=None):
        commands.append(command)
        return {"processor": 1.0 + len(commands), "wall": 2.0}

    monkeypatch.setattr(book, "run", run)
    return commands


def test_every_part_is_measured_in_every_round(asked, tmp_path):
    assert book.main(["--results", str(tmp_path), "--rounds", "2"]) == 0
    facts = read_facts(tmp_path / FILE)
    assert facts is not None
    assert {name: len(rounds) for name, rounds in facts["parts"].items()} == dict.fromkeys(PARTS, 2)
    assert facts["site"] is None
    assert len(asked) == 2 * len(PARTS)
    assert "2 rounds" in book_times_text(facts)


def test_nothing_is_written_beside_the_records(asked, tmp_path):
    assert book.main(["--results", str(tmp_path), "--rounds", "1", "--site"]) == 0
    places = [c[c.index("--results") + 1] for c in asked if "--results" in c]
    assert len(places) == 3
    assert not any(place.startswith((str(book.ROOT), str(tmp_path))) for place in places)
    assert [c[0] for c in asked].count("git") == 1
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize("arguments", [["--rounds", "0"], ["--results", "nowhere"]])
def test_mistakes_end_in_one_line_and_nothing_written(arguments, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(book, "run", pytest.fail)
    monkeypatch.chdir(tmp_path)
    assert book.main(["--results", str(tmp_path), *arguments]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_part_that_fails_leaves_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(book, "COMMAND", (sys.executable, "-c", "raise SystemExit('broken')"))
    assert book.main(["--results", str(tmp_path), "--rounds", "1"]) == 2
    assert "broken" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_what_a_kernel_imports_can_be_imported():
    whole = book.run((sys.executable, "-c", book.IMPORTS + book.LIGHTNING))
    kept = book.run((sys.executable, "-c", book.IMPORTS))
    assert 0 < kept["processor"] < whole["processor"]
