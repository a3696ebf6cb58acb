"""What is timed on a GPU, tried on a CPU."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import torch

from benchmarks.command import kept as kept_parts
from benchmarks.gpu import __main__ as command
from benchmarks.gpu import measure, shapes
from companion.pages.gpu import FILE, check, gpu_text, read_gpu
from thermo_utils.counting import settings as chosen
from thermo_utils.counting.bins import Bins, TorchBins
from thermo_utils.counting.layouts import layout
from thermo_utils.errors import ThermoError
from thermo_utils.hooks import ActivationHooks

pytest.importorskip("triton")
pytest.importorskip("cuda.bindings")

CPU = torch.device("cpu")
DTYPES = (torch.float32, torch.float16, torch.bfloat16)


def lay_of(dtype, taus=measure.TAUS):
    return layout(dtype, np.asarray(taus, dtype=np.float64).tobytes(), True)


@pytest.mark.parametrize("missing", ["cuda_obstacle", "triton_obstacle"])
def test_without_a_kernel_nothing_else_stands_for_it(missing, monkeypatch):
    for name in ("cuda_obstacle", "triton_obstacle"):
        monkeypatch.setattr(
            measure, name, lambda _, n=name: "no compiler" if n == missing else None
        )
    with pytest.raises(ThermoError, match="no compiler: pip install cuda-bindings triton"):
        measure.kinds(torch.device("cuda"))


def test_the_librarys_choice_comes_first(monkeypatch):
    for name in ("cuda_obstacle", "triton_obstacle"):
        monkeypatch.setattr(measure, name, lambda _: None)
    first = next(iter(measure.kinds(torch.device("cuda")).values()))
    monkeypatch.setattr(chosen, "cuda_obstacle", lambda *_: None)
    monkeypatch.setattr(first, "__init__", lambda self, *_: None)
    made = chosen.Settings(measure.TAUS).bins(torch.float32, torch.device("cuda"))
    assert type(made) is first


# --- Inputs and networks ---


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_inputs_are_what_they_are_called(dtype):
    n = 20_000
    bins = {}
    for name in measure.INPUTS:
        found = TorchBins(lay_of(dtype), CPU)
        assert found.add(measure.inputs(name, n, dtype, CPU), None)
        bins[name] = found.on_host()[0]
        assert bins[name].sum() == n
    assert np.count_nonzero(bins["one bin"]) == 1
    assert bins["half zeros"][0] == pytest.approx(n / 2, rel=0.05)
    assert bins["uniform"][0] < n / 100
    assert np.count_nonzero(bins["uniform"]) > len(measure.TAUS)


@pytest.mark.slow
@pytest.mark.parametrize("name", shapes.SHAPES)
def test_networks_have_their_namesakes_sizes(name):
    """Parameters, and activations of one image or text where the chapters prune."""

    def activations(network, layers):
        seen = []
        with torch.no_grad(), ActivationHooks(network, layers, lambda _, a: seen.append(a.numel())):
            network(x)
        return sum(seen)

    shape = shapes.SHAPES[name]
    x = torch.zeros(1, 3, shape.size, shape.size)
    if shape.text:
        x = torch.zeros(1, shape.size, dtype=torch.int64)
        expected = 109_482_240 + 4 * (768 + 1), 12 * shape.size * 3072
    else:
        models = pytest.importorskip("torchvision.models")
        made, layers = {
            "ResNet-18": (models.resnet18, ("layer?.*.relu",)),
            "MobileNetV2": (models.mobilenet_v2, ("ReLU6",)),
            "ViT-B": (models.vit_b_16, ("*.mlp.0", "*.mlp.1", "*.mlp.3")),
        }[name]
        namesake = made().eval()
        expected = parameters(namesake), activations(namesake, layers)
    network = shape.make(shape.size, 12).eval()
    assert (parameters(network), activations(network, shape.layers)) == expected


def parameters(network):
    return sum(p.numel() for p in network.parameters())


# --- The command ---


@pytest.fixture
def quick(monkeypatch):
    """Parts of no size, which say how often they were made."""
    made = []

    def part(name, facts):
        made.append(name)
        return facts

    def few(device, small):
        counted = measure.kernels("uniform", 500, torch.float32, CPU, measure.kinds(CPU))
        timed = {
            "name": "N", "dtype": "float32", "size": 1, "batch": 1, "batches": 1, "activations": 1,
            "thresholds": 1, "passes": 4,
            "seconds": {t: [0.1, 0.1] for t in ("plain", "summed", "renormalized", "full")},
        }  # fmt: skip
        return {name: partial(part, name, facts) for name, facts in
                (("kernels a", counted), ("networks b", timed), ("networks c", timed))}  # fmt: skip

    monkeypatch.setattr(measure, "ROUNDS", 2)
    monkeypatch.setattr(command, "parts", few)
    return made


def trial(folder, *more):
    return command.main(["--results", str(folder), "--device", "cpu", *more])


def test_every_input_type_and_network_is_a_part():
    names = list(command.parts(CPU, True))
    assert len(names) == len(set(names)) == 3 * len(measure.INPUTS) + 2 * len(shapes.SHAPES)
    assert all(name.startswith(("kernels ", "networks ")) for name in names)


def test_a_trial_is_whole_marked_and_apart(quick, tmp_path, capsys):
    assert trial(tmp_path) == 0
    (path,) = (tmp_path / command.WORK).iterdir()
    assert [p.name for p in tmp_path.iterdir()] == [command.WORK]
    facts = json.loads(path.read_text())
    check(facts, path)
    assert facts["trial"] is True
    assert "no measurement" in capsys.readouterr().out
    assert gpu_text(facts).count("yes") == len(measure.kinds(CPU))


def test_the_page_takes_what_is_measured(quick, tmp_path, monkeypatch):
    """With a GPU that is none: torch says so, and the parts are made on the CPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda *_: "A GPU")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda *_: (9, 0))
    assert command.main(["--results", str(tmp_path)]) == 0
    facts = read_gpu(tmp_path / FILE)
    assert not list((tmp_path / command.WORK).iterdir())
    assert facts["trial"] is False
    assert facts["capability"] == [9, 0]
    assert "A GPU, torch" in gpu_text(facts)


def test_an_interrupted_run_goes_on(quick, tmp_path, monkeypatch, capsys):
    whole = command.parts

    def stopped(device, small):
        def stop():
            raise KeyboardInterrupt

        return {**whole(device, small), "networks b": stop}

    monkeypatch.setattr(command, "parts", stopped)
    assert trial(tmp_path) == 130
    assert "goes on" in capsys.readouterr().err
    assert not (tmp_path / command.WORK / command.TRIAL).exists()
    monkeypatch.setattr(command, "parts", whole)
    assert trial(tmp_path) == 0
    assert quick == ["kernels a", "networks b", "networks c"], "what was finished is not repeated"
    quick.clear()
    assert trial(tmp_path) == 0
    assert len(quick) == 3, "and a finished run leaves nothing to go on from"


def test_parts_of_another_device_or_code_are_not_taken(quick, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "check", lambda *_: (_ for _ in ()).throw(ThermoError("stopped")))
    assert trial(tmp_path) == 2
    monkeypatch.undo()
    kept = tmp_path / command.WORK / "parts-cpu.json"
    made = json.loads(kept.read_text())["made"]
    assert len(kept_parts(kept, made)) == 3
    other = {**made, "provenance": {**made["provenance"], "device": "another"}}
    assert kept_parts(kept, other) == {}
    edited = {**made, "sources": {**made["sources"], "shapes.py": "another"}}
    assert kept_parts(kept, edited) == {}
    kept.write_text("{")
    assert kept_parts(kept, made) == {}


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_one_line_names_the_fix(tmp_path, capsys):
    assert command.main(["--results", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "no GPU that torch can use" in line
    assert not list(tmp_path.iterdir())


def test_a_missing_folder_is_named(tmp_path, capsys):
    assert trial(tmp_path / "nowhere") == 2
    assert "nowhere" in capsys.readouterr().err


def test_a_record_is_not_replaced_unasked(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    (tmp_path / FILE).write_text("kept")
    assert command.main(["--results", str(tmp_path)]) == 2
    assert "--force" in capsys.readouterr().err
    assert (tmp_path / FILE).read_text() == "kept"


class Wrong(TorchBins):
    """Loses an activation the second time."""

    def _count(self, flat, out):
        return super()._count(flat[1:] if self.seen else flat, out)


class Broken(Bins):
    def _count(self, flat, out):
        raise RuntimeError("no room")


def test_what_counts_wrong_or_not_at_all_is_told_apart(monkeypatch):
    monkeypatch.setattr(measure, "LEAST", 2)
    monkeypatch.setattr(measure, "ROUNDS", 2)
    makers = {"good": TorchBins, "wrong": Wrong, "broken": Broken}
    part = measure.kernels("uniform", 500, torch.float32, CPU, makers)
    assert part["agrees"] == {"good": True, "wrong": False}
    assert part["failed"] == {"broken": "RuntimeError: no room"}
    assert set(part["seconds"]) == {"copy", "good", "wrong"}
    assert {len(values) for values in part["seconds"].values()} == {2}


def test_a_network_is_timed_for_all_tasks(monkeypatch):
    monkeypatch.setattr(measure, "LEAST", 2)
    monkeypatch.setattr(measure, "ROUNDS", 2)
    part = measure.network("ResNet-18", torch.float32, CPU, small=True)
    assert {len(values) for values in part["seconds"].values()} == {2}
    # Activations of two images of 32 x 32 pixels: sides of 8, 4, 2, 1 in the four stages.
    assert part["activations"] == 2 * 4 * (64 * 64 + 128 * 16 + 256 * 4 + 512)


@pytest.mark.slow
def test_nothing_but_torch_is_needed(tmp_path):
    """Neither what the book needs, nor what the library has for speed and figures."""
    code = """
import sys
away = {"transformers", "torchvision", "datasets", "lightning", "papermill", "pydantic", "numba",
        "scipy", "matplotlib", "seaborn", "torchmetrics", "psutil", "filelock", "jupyter_book"}
class Away:
    def find_spec(self, name, *_):
        if name.partition(".")[0] in away:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Away())
from benchmarks.gpu.__main__ import main
sys.exit(main(sys.argv[1:]))
"""
    arguments = [sys.executable, "-c", code, "--device", "cpu", "--results", str(tmp_path)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    facts = json.loads((tmp_path / command.WORK / command.TRIAL).read_text())
    assert {part["reference"] for part in facts["kernels"]} == {"TorchBins"}
    assert all(all(part["agrees"].values()) for part in facts["kernels"])
    assert "Warning" not in done.stderr
