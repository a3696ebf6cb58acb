"""Tables of texts: what is read of them, and that no damaged row passes for a whole one."""

from __future__ import annotations

import csv
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion.analysis.tables import read_table
from thermo_utils import ThermoError

#: Not carriage returns, which CSV cannot tell from line ends in a text, nor half of a character.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\x00"))


@given(st.lists(st.tuples(texts, st.sampled_from(["good", "bad, really", '"'])), min_size=1))
@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".json"])
def test_texts_come_back_as_they_were(tmp_path_factory, suffix, rows):
    file = tmp_path_factory.mktemp("table") / f"texts{suffix}"
    with file.open("w", encoding="utf-8", newline="") as stream:
        if suffix == ".json":
            json.dump([{"text": t, "label": n} for t, n in rows], stream, ensure_ascii=False)
        elif suffix == ".jsonl":
            for t, n in rows:
                stream.write(json.dumps({"text": t, "label": n}, ensure_ascii=False) + "\n")
        else:
            writer = csv.writer(stream, delimiter="\t" if suffix == ".tsv" else ",")
            writer.writerows([("label", "text"), *((n, t) for t, n in rows)])
    assert read_table(file, "text", "label") == ([t for t, _ in rows], [n for _, n in rows])


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (["0", "1", " 2"], [0, 1, 2]),
        (["0", "1.5"], [0.0, 1.5]),
        (["0", "one"], ["0", "one"]),
        (["01", "1"], [1, 1]),
        (["yes ", "no"], ["yes", "no"]),
    ],
)
def test_labels_of_csv_are_numbers_if_all_are(tmp_path, column, expected):
    file = tmp_path / "a.csv"
    file.write_text("text,label\n" + "".join(f"some,{label}\n" for label in column))
    labels = read_table(file, "text", "label")[1]
    assert labels == expected
    assert [type(label) for label in labels] == [type(label) for label in expected]


def test_labels_of_json_keep_their_types(tmp_path):
    file = tmp_path / "a.jsonl"
    labels = [1, "1", 1.0, True, ["O", "PER"]]
    file.write_text("\n".join(json.dumps({"t": ["a", "b"], "l": label}) for label in labels))
    found = read_table(file, "t", "l")[1]
    assert found == [1, "1", 1.0, "true", ["O", "PER"]]
    assert [type(label) for label in found] == [int, str, float, str, list]


def test_a_table_without_labels(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("\ufefftext\nsome\n", encoding="utf-8")  # as spreadsheets write it
    assert read_table(file, "text", "label", optional=True) == (["some"], None)
    with pytest.raises(ThermoError, match=r"'label'.*--label-column"):
        read_table(file, "text", "label")


MISTAKES = {
    "empty": ("a.csv", "", "no rows"),
    "head alone": ("a.csv", "text,label\n", "no rows"),
    "no column": ("a.csv", "txt,label\na,1\n", "did you mean 'txt'.*--text-column"),
    "too many fields": ("a.csv", "text,label\na,1\nb, c,1\n", "line 3.*quotes"),
    "too few fields": ("a.csv", "text,label\na,1\nb\n", "line 3.*'label' is missing"),
    "empty label": ("a.csv", "text,label\na,\n", "line 2.*label is empty"),
    "open quote": ("a.csv", 'text,label\n"a,1\n', "is no table"),
    "no JSON": ("a.jsonl", '{"text": "a", "label": 1}\n{"text": ', "line 2 is no JSON"),
    "no object": ("a.jsonl", "[1]\n", "row 1 is no object"),
    "scalar": ("a.jsonl", "3\n", "line 1 is no object"),
    "null label": ("a.jsonl", '{"text": "a", "label": null}', "line 1.*'label' is missing"),
    "object label": ("a.jsonl", '{"text": "a", "label": {}}', "label is of type dict"),
    "number as text": ("a.jsonl", '{"text": 3, "label": 1}', "text is of type int"),
    "a row without": ("a.jsonl", '{"text": "a", "label": 1}\n{"text": "b"}', "line 2.*'label'"),
}


@pytest.mark.parametrize(("name", "content", "message"), MISTAKES.values(), ids=list(MISTAKES))
def test_mistakes(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(ThermoError, match=message):
        read_table(tmp_path / name, "text", "label", optional="row without" in message)


def test_another_encoding(tmp_path):
    (tmp_path / "a.csv").write_bytes("text,label\nschön,1\n".encode("latin-1"))
    with pytest.raises(ThermoError, match="UTF-8"):
        read_table(tmp_path / "a.csv", "text", "label")


def test_a_label_that_is_missing_in_a_later_row_is_no_table_without_labels(tmp_path):
    file = tmp_path / "a.jsonl"
    file.write_text('{"text": "a", "label": 1}\n{"text": "b"}\n')
    with pytest.raises(ThermoError, match="line 2"):
        read_table(file, "text", "label", optional=True)
