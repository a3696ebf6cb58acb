"""Downloads, from a hub on the loopback: the profile ``paper`` end to end, and what may break."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from companion.data.specs import DATASETS
from companion.networks import NETWORKS
from companion.runs.chapters import CHAPTERS
from companion.runs.records import read_record
from tests.hub import server

pytestmark = pytest.mark.slow

#: Sizes of a run; everything else is the recipe's.
CUT = {
    "train_size": 40, "validation_size": 12, "test_size": 24, "epochs": 1, "max_length": 16,
}  # fmt: skip
GUARD = Path(server.__file__).parent / "guard"
#: Where the libraries count downloads and look for more; they do without.
ASIDE = {"s3.amazonaws.com", "datasets-server.127.0.0.1"}
#: Clients write pieces of this size; a download can only go on from a piece.
PIECE = 10 * 2**20
#: Breaks off, and as often as clients try again.
FOR_GOOD = [0] * 6
VIT = "google/vit-base-patch16-224"
CIFAR = DATASETS["cifar10"].hub_id


@pytest.fixture(scope="session")
def names_and_hub():
    from tests.hub import miniatures  # slow to import, and all tests of this file are

    files = miniatures.torchvision()
    every = {name: content for kind in files.values() for name, content in kind.items()}
    names = {network: next(iter(kind)) for network, kind in files.items()}
    with server.Hub({**miniatures.datasets(), **miniatures.networks()}, every) as hub:
        yield names, hub


@pytest.fixture
def hub(names_and_hub):
    """The hub, without faults."""
    _, hub = names_and_hub
    before = dict(hub.repositories)
    hub.forget()
    yield hub
    hub.forget()
    hub.repositories = before


class Machine:
    """A machine with an empty cache, on which ``thermo`` is run."""

    def __init__(self, names, hub, folder):
        self.folder, self._done = folder, {}
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("HF_", "THERMO_", "TORCH_HOME"))
        } | {
            "HF_ENDPOINT": hub.url,
            "THERMO_TORCHVISION_URL": f"{hub.url}/models",
            "HF_HOME": str(folder / "hub"),
            "TORCH_HOME": str(folder / "torch"),
            "THERMO_GUARD": str(folder / "guard"),
            "THERMO_WEIGHTS": json.dumps(names),
            "PYTHONPATH": os.pathsep.join([str(GUARD), os.environ.get("PYTHONPATH", "")]),
        }

    def python(self, *words):
        return subprocess.run(
            [sys.executable, *map(str, words)],
            cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=280,
        )  # fmt: skip

    def paper(self, model, dataset, **changed):
        """A chapter at the profile ``paper``, cut to seconds."""
        recipe = NETWORKS[model].recipes[dataset, "paper"]
        values = CUT | {"tau_step": recipe.tau_max / 2} | changed
        if NETWORKS[model].reads == "image":
            values.pop("max_length")
        words = [word for pair in values.items() for word in ("-p", *pair)]
        return self.python(
            "-m", "companion.cli", "run", model, dataset, "--profile", "paper", "--quiet", *words
        )

    def record(self, model, dataset):
        """The record of a chapter, which is run if it was not."""
        if (model, dataset) not in self._done:
            done = self.paper(model, dataset)
            assert done.returncode == 0, done.stderr
            folder = done.stdout.strip().rpartition(": ")[2]
            self._done[model, dataset] = read_record(self.folder / folder)
        return self._done[model, dataset]

    def refused(self, *chapter):
        """The line by which a chapter is refused, with nothing half-written left behind."""
        done = self.paper(*chapter)
        assert done.returncode == 2, done.stderr
        assert done.stderr.count("\n") == 1, done.stderr
        assert not list(self.folder.rglob("result.json"))
        assert not list(self.folder.rglob("*.incomplete"))
        return done.stderr

    def asked_elsewhere(self):
        file = self.folder / "guard"
        return set(file.read_text().split()) if file.exists() else set()


@pytest.fixture
def machine(names_and_hub, hub, tmp_path):
    machine = Machine(*names_and_hub, tmp_path)
    yield machine
    assert machine.asked_elsewhere() <= ASIDE


@pytest.fixture(scope="module")
def shared(names_and_hub, tmp_path_factory):
    """A machine for all chapters, so that nothing is downloaded twice."""
    return Machine(*names_and_hub, tmp_path_factory.mktemp("machine"))


class TestPaper:
    @pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.name)
    def test_runs_to_its_end(self, chapter, shared, hub):
        record = shared.record(chapter.model, chapter.dataset)
        recipe = NETWORKS[chapter.model].recipes[chapter.dataset, "paper"]
        settings, data = record.result["settings"], record.result["data"]
        assert settings["checkpoint"] == recipe.checkpoint
        assert settings["learning_rate"] == recipe.learning_rate
        assert data["source"] == f"{DATASETS[chapter.dataset].hub_id} (hub)"
        assert [data[part] for part in ("train", "validation", "test")] == [40, 12, 24]
        for method in ("full", "renormalized"):
            curve = record.curve(method)
            assert curve["tau"].iloc[-1] == pytest.approx(recipe.tau_max)
            assert np.isfinite(curve["free_energy"][curve["active"] > 0]).all()
        assert curve["active"].iloc[0] > 0  # at the first threshold of the fine grid
        assert shared.asked_elsewhere() <= ASIDE

    def test_of_vit_the_last_blocks_the_last_norm_and_the_head_learn(self, shared, hub, tmp_path):
        from companion.networks.modules.vit import ViTClassifier

        for name, content in hub.repositories["models", VIT].items():
            (tmp_path / name).write_bytes(content)
        start = ViTClassifier.from_pretrained(
            tmp_path, num_labels=10, ignore_mismatched_sizes=True
        ).state_dict()
        shared.record("vit", "cifar10")
        folders = [path.parent for path in shared.folder.rglob("weights.pt")]
        trained = [torch.load(folder / "weights.pt", weights_only=True) for folder in folders]
        (end,) = [
            weights
            for weights in trained
            if weights.keys() == start.keys() and len(weights["classifier.bias"]) == 10
        ]
        head = {name for name in start if name.startswith("classifier.")}
        moved = {name for name in start.keys() - head if not torch.equal(start[name], end[name])}
        last = ("vit.layers.2.", "vit.layers.3.", "vit.layers.4.", "vit.layers.5.", "vit.layernorm")
        assert moved == {name for name in start if name.startswith(last)}
        assert {name.split(".")[2] for name in start if ".layers." in name} == set("012345")


class TestFaults:
    """One line each, exit code 2, nothing half-written taken for whole."""

    def test_no_such_data(self, machine, hub):
        del hub.repositories["datasets", CIFAR]
        assert "CIFAR-10" in (line := machine.refused("mlp", "cifar10"))
        assert "doesn't exist" in line

    @pytest.mark.parametrize(("status", "words"), [(401, "authenticated"), (403, "ask for access")])
    def test_gated_data(self, status, words, machine, hub):
        hub.gated[CIFAR] = status
        line = machine.refused("mlp", "cifar10")
        assert f"{CIFAR}' is a gated dataset" in line
        assert words in line

    @pytest.mark.parametrize("way", ["closed", "silent"])
    def test_no_answer(self, way, machine, hub):
        if way == "closed":
            machine.environment["HF_ENDPOINT"] = "http://127.0.0.1:9"
        hub.silent = True
        line = machine.refused("mlp", "cifar10")
        assert "CIFAR-10" in line
        assert "THERMO_DATA" in line
        assert len(hub.requests) <= 2  # asked whether it answers, and not again and again

    def test_broken_data_are_completed_by_the_next_run(self, machine, hub):
        train, test = (f"plain_text/{part}-00000-of-00001.parquet" for part in ("train", "test"))
        size = len(hub.repositories["datasets", CIFAR][test])
        hub.cut[test] = [size // 2, *FOR_GOOD]
        line = machine.refused("mlp", "cifar10")
        assert "CIFAR-10" in line
        assert "closed connection" in line
        got = hub.stored()
        assert got[train] == 1
        hub.forget()
        assert machine.record("mlp", "cifar10").result["data"]["test"] == CUT["test_size"]
        assert hub.stored() == {test: 1}

    @pytest.mark.parametrize("status", [None, 401, 403], ids=["missing", "unknown", "restricted"])
    def test_no_such_checkpoint(self, status, machine, hub):
        if status is None:
            del hub.repositories["models", VIT]
        else:
            hub.gated[VIT] = status
        line = machine.refused("vit", "cifar10")
        assert VIT in line
        assert ("Repository Not Found" if status is None else "gated repo") in line
        assert hub.stored() == {}  # found before anything large is downloaded

    def test_checkpoint_without_weights(self, machine, hub):
        files = hub.repositories["models", VIT]
        hub.repositories["models", VIT] = {
            name: content for name, content in files.items() if name != "model.safetensors"
        }
        line = machine.refused("vit", "cifar10")
        assert VIT in line
        assert "model.safetensors" in line

    def test_broken_weights_are_completed_by_the_next_run(self, machine, hub):
        weights = hub.repositories["models", VIT]["model.safetensors"]
        hub.cut["model.safetensors"] = [len(weights) // 2, *FOR_GOOD]
        line = machine.refused("vit", "cifar10")
        assert VIT in line
        assert "THERMO_MODELS" in line
        hub.forget()
        machine.record("vit", "cifar10")
        assert hub.stored() == {"model.safetensors": 1}

    def test_a_download_goes_on_in_the_same_run(self, machine, hub):
        files = hub.repositories["models", VIT]
        more = {"unused": torch.zeros(3 * 2**20)}
        large = save(load(files["model.safetensors"]) | more, {"format": "pt"})
        hub.repositories["models", VIT] = files | {"model.safetensors": large}
        hub.cut["model.safetensors"] = [PIECE + 2**20]
        machine.record("vit", "cifar10")
        assert hub.ranges() == [f"bytes={PIECE}-"]

    def test_torchvision_goes_on_in_the_next_run(self, machine, hub, names_and_hub):
        name = names_and_hub[0]["resnet18"]
        hub.cut[name] = [3 * PIECE + 2**20, *FOR_GOOD]
        line = machine.refused("resnet18", "cifar10")
        assert "torchvision/resnet18" in line
        assert "THERMO_MODELS" in line
        hub.forget()
        machine.record("resnet18", "cifar10")
        assert hub.ranges() == [f"bytes={3 * PIECE}-"]
