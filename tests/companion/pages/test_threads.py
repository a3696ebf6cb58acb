"""The costs at default threads: the page's numbers are the record's."""

from __future__ import annotations

import copy
import json

import pytest

from companion.pages.threads import FILE, read_threads, threads_text
from thermo_utils.errors import ThermoError


def facts():
    def seconds(plain, renormalized):
        return {
            "plain": plain, "summed": [1.5 * v for v in plain], "renormalized": renormalized,
            "full": [6 * v for v in plain], "whole": [2 * v for v in plain],
            "reused": [v / 2 for v in plain],
        }  # fmt: skip

    case = {
        "seconds": {
            "1": seconds([0.2, 0.4, 0.8], [0.4, 0.8, 1.6]),
            "4": seconds([0.1, 0.2, 0.4], [0.12, 0.25, 0.52]),
        },
        "before": [0.5, 0.25, 0.125], "activations": 10**6, "examples": 64,
        "kept": {"share": 0.5, "bytes": 1 << 20, "why_not": None},
    }  # fmt: skip
    other = copy.deepcopy(case)
    other["seconds"]["4"]["renormalized"] = [0.3, 0.6, 1.2]
    other["kept"] = {"share": 0.0, "bytes": 0, "why_not": "the network draws random numbers"}
    return {
        "format": 2, "date": "2026-11-26", "threads": [1, 4], "thresholds": 50, "passes": 3,
        "load": 0.1, "provenance": {"device": "CPU (fast | one), 4 threads", "git_commit": None},
        "cases": {"vit-cifar10": case, "some | net, channels last": other},
    }  # fmt: skip


def cells(text):
    return [[c.strip() for c in line.strip("|").split("|")] for line in text.splitlines()]


def written(folder, content):
    (folder / FILE).write_text(json.dumps(content))
    return folder / FILE


def test_nothing_measured_names_the_command(tmp_path):
    assert read_threads(tmp_path / FILE) is None
    assert threads_text(None) == "Not measured: `python -m benchmarks.threads` does it.\n"


def test_rows_are_the_records(tmp_path):
    text = threads_text(read_threads(written(tmp_path, facts())))
    rows = cells(text)
    # FE: 51 passes of two plain ones each over RFE, which is 1.2, 1.25, 1.3 plain ones.
    whole = ["200", "1.50 (1.50 to 1.50)", "2.00 (2.00 to 2.00)"]
    beside = ["1.25 (1.23 to 1.27)", "81.6 (80.0 to 83.3)", "0.44"]
    assert ["[ViT, CIFAR-10](chapters/vit-cifar10)", *whole, *beside] in rows
    assert ["some &#124; net, channels last", *whole, "3.00 (3.00 to 3.00)"] in rows
    # Half of the 64 examples are kept, in 1,024 KiB.
    again = ["25.0 %", "0.25 (0.25 to 0.25)", "32"]
    assert ["[ViT, CIFAR-10](chapters/vit-cifar10)", *again] in rows
    why = ["25.0 %", "computed as a whole", "the network draws random numbers"]
    assert ["some &#124; net, channels last", *why] in rows
    said = "With 4 threads, which is torch's default there, exact RFE costs at most 3.00"
    assert f"{said} (some &#124; net, channels last) plain passes; with one, 2.00" in text
    assert "fast &#124; one" in text
    assert "busy" not in text
    assert "The machine was busy before" in threads_text(facts() | {"load": 3.0})


def broken(change):
    content = facts()
    change(content)
    return content


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(format=1), "its format is not 2"),
        (lambda c: c.update(threads=[2, 4]), "threads are not one and more"),
        (lambda c: c.update(passes=1), "passes is no number above 1"),
        (lambda c: c["cases"]["vit-cifar10"].update(before=[0.5, 2.0]), "shares before"),
        (lambda c: c["cases"]["vit-cifar10"]["kept"].update(share=2), "what is kept of a pass"),
        (lambda c: c["cases"]["vit-cifar10"].pop("kept"), "what is kept of a pass"),
        (lambda c: c.update(cases={}), "cases is no object, or empty"),
        (lambda c: c["cases"]["vit-cifar10"]["seconds"].pop("4"), "other numbers of threads"),
        (lambda c: c["cases"]["vit-cifar10"]["seconds"]["4"].pop("full"), "has other tasks"),
        (lambda c: c["cases"]["vit-cifar10"]["seconds"]["1"]["plain"].pop(), "the same rounds"),
        (
            lambda c: c["cases"]["vit-cifar10"]["seconds"]["1"].update(plain=[0.1, 0.0, 0.2]),
            "no positive numbers",
        ),
    ],
)
def test_a_damaged_record_is_one_clear_error(tmp_path, change, message):
    path = written(tmp_path, broken(change))
    with pytest.raises(ThermoError, match=message) as raised:
        read_threads(path)
    assert "python -m benchmarks.threads --force" in str(raised.value)


def test_networks_that_the_book_knows_have_its_names():
    content = facts()
    case = content["cases"].pop("some | net, channels last")
    content["cases"]["mobilenet_v2, channels last"] = case
    text = threads_text(content)
    assert "| MobileNetV2, channels last |" in text
    assert "at most 3.00 (MobileNetV2, channels last)" in text
    assert "mobilenet_v2" not in text
