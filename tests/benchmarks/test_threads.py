"""Measuring at default threads: everything in turn, kept, and of the right size."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from benchmarks import costs, threads
from benchmarks.command import kept as kept_parts
from companion.pages.threads import FILE, read_threads, threads_text
from companion.runs.chapters import CHAPTERS


@pytest.fixture(autouse=True)
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def tiny(examples=64):
    network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    targets = torch.zeros(examples, dtype=torch.int64)
    return threads.Case(network, [(torch.randn(examples, 4), targets)] * 3, ["1"])


def test_all_chapters_and_both_layouts_are_measured():
    names = list(threads.cases())
    assert names[: len(CHAPTERS)] == [c.name for c in CHAPTERS]
    assert names[len(CHAPTERS) :] == [
        *(f"{n}, {layout}" for n in ("mobilenet_v2", "shufflenet_v2_x1_0", "resnet18")
          for layout in ("contiguous", "channels last")),
        "bert, contiguous",
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["mlp-cifar10", "bert-ag_news", "shufflenet_v2_x1_0, channels last"]
)
def test_a_case_is_measured_whole(name):
    found = threads.measure(threads.cases()[name](), (1, 2), 0.001, 2)
    assert found["examples"] in (32, 64, 256)
    assert found["activations"] > 0


def test_every_task_runs_with_its_number_of_threads(monkeypatch):
    seen = []
    plain = costs.evaluate
    monkeypatch.setattr(
        costs, "evaluate", lambda *a: seen.append(torch.get_num_threads()) or plain(*a)
    )
    found = threads.measure(tiny(), (1, 2), 1e-9, 3)
    assert {k: set(map(len, v.values())) for k, v in found["seconds"].items()} == {
        "1": {3}, "2": {3},
    }  # fmt: skip
    # One batch fills the time. A hook that sums evaluates, too, so it is two a round.
    assert found["examples"] == 64
    assert found["activations"] == 64 * 8
    assert all(0 < share < 1 for share in found["before"])
    assert seen.count(1) == 2 * 4
    assert torch.get_num_threads() == 2


def test_one_command_measures_keeps_and_goes_on(tmp_path, monkeypatch, capsys):
    made = []

    def make(name):
        made.append(name)
        if name == "b" and made.count("b") == 1:
            raise KeyboardInterrupt
        return tiny()

    monkeypatch.setattr(
        threads, "cases", lambda: {n: lambda n=n: make(n) for n in ("mlp-cifar10", "b")}
    )
    options = ["--results", str(tmp_path), "--seconds", "1e-6", "--repetitions", "2"]
    assert threads.main(options) == 130
    assert threads.main(options) == 0
    assert made == ["mlp-cifar10", "b", "b"], "what was finished is kept"
    facts = read_threads(tmp_path / FILE)
    assert list(facts["cases"]) == ["mlp-cifar10", "b"]
    assert facts["threads"] == [1, 2]
    assert "MLP, CIFAR-10" in threads_text(facts)
    assert not (tmp_path / threads.WORK).exists()
    assert threads.main(options) == 2
    assert "--force measures it again" in capsys.readouterr().err
    (tmp_path / FILE).unlink()
    assert threads.main([*options[:-1], "1"]) == 2
    torch.set_num_threads(1)
    assert threads.main(options) == 2
    assert "leave OMP_NUM_THREADS unset" in capsys.readouterr().err
    assert not (tmp_path / FILE).exists()


def test_what_another_code_measured_is_not_gone_on_with(tmp_path):
    kept = tmp_path / "kept.json"
    kept.write_text(json.dumps({"made": {"source": "other"}, "parts": {"a": 1}}))
    assert kept_parts(kept, {"source": "this"}) == {}
    assert kept_parts(kept, {"source": "other"}) == {"a": 1}
    kept.write_text("{")
    assert kept_parts(kept, {}) == {}
