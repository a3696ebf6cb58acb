"""The score of the tests: what is counted as noticed, when it is enough, what is tried again."""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.mutants import forget_survivors, read_scores, summary

ROOT = Path(__file__).parents[2]
KILLED, SURVIVED, NO_TEST, TIMEOUT = 1, 0, 33, 36


def write(folder: Path, module: str, *codes: int | None) -> Path:
    file = folder / f"{module}.meta"
    file.parent.mkdir(parents=True, exist_ok=True)
    names = {f"mutant_{i}": code for i, code in enumerate(codes)}
    file.write_text(json.dumps({"exit_code_by_key": names, "hash_by_function_name": {}}))
    return file


def test_no_test_is_a_survivor_and_no_end_is_noticed(tmp_path):
    write(tmp_path, "a/b.py", KILLED, KILLED, TIMEOUT, SURVIVED, NO_TEST, None)
    write(tmp_path, "a/empty.py")
    assert read_scores(tmp_path) == {"a/b.py": {"killed": 3, "survived": 2, "waiting": 1}}


@pytest.mark.parametrize(
    ("killed", "survived", "waiting", "enough"),
    [(9, 1, 0, True), (8, 1, 0, False), (9, 1, 1, False), (0, 0, 0, False)],
)
def test_nine_in_ten_of_all_modules_together_are_enough(killed, survived, waiting, enough):
    score = Counter(killed=killed, survived=survived, waiting=waiting)
    half = {"a.py": score, "b.py": score}
    text, is_enough = summary(half)
    assert is_enough is enough
    *_, last = text.splitlines()
    assert [int(n) for n in last.split()[1:4]] == [2 * killed, 2 * survived, 2 * waiting]


def test_survivors_are_tried_again_when_a_test_changed_and_only_then(tmp_path):
    test, folder = tmp_path / "test_a.py", tmp_path / "mutants"
    test.write_text("one")
    forget_survivors(folder, [test])  # the first run: nothing there
    meta = write(folder, "a.py", KILLED, SURVIVED, NO_TEST)

    def codes() -> list[int | None]:
        return list(json.loads(meta.read_text())["exit_code_by_key"].values())

    forget_survivors(folder, [test])
    assert codes() == [KILLED, SURVIVED, NO_TEST]
    test.write_text("another")
    forget_survivors(folder, [test])
    assert codes() == [KILLED, None, None]


def test_what_is_changed_and_what_must_notice_exist():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mutmut"]
    named = [*settings["only_mutate"], *settings["pytest_add_cli_args_test_selection"]]
    assert [name for name in named if not list(ROOT.glob(name))] == []
