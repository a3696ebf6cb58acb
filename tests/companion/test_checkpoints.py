"""Checkpoints by path, from a mirror, or not at all."""

from __future__ import annotations

import hashlib
import io
import time

import huggingface_hub
import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn
from transformers import AutoTokenizer, BertForSequenceClassification, T5Model

from companion import checkpoints
from companion.networks import NETWORKS, build
from tests.hub.server import Hub
from thermo_utils.errors import ThermoError

TEXT = {"vocabulary": 60, "padding": 0, "max_length": 16}
SMALL = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24,
}  # fmt: skip
OPTIONS = {
    "bert": SMALL,
    "electra": {**SMALL, "embedding_size": 8},
    "t5": {"d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 2, "num_heads": 2},
    "gpt2": {"n_embd": 16, "n_layer": 2, "n_head": 2},
    "vit": {**SMALL, "patch_size": 8},
}


def make(family, classes=4, **options):
    inputs = {"image_size": 16} if family == "vit" else TEXT
    return build(family, {"classes": classes, **inputs}, **options)


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.delenv("THERMO_MODELS", raising=False)


def saved(family, folder):
    network = make(family, **OPTIONS[family])
    (network.t5 if family == "t5" else network).save_pretrained(folder)
    return network


@pytest.mark.parametrize("family", OPTIONS)
@pytest.mark.parametrize("mirrored", [False, True], ids=["path", "mirror"])
def test_round_trip(family, mirrored, tmp_path, monkeypatch, capfd):
    network = saved(family, tmp_path / "maker" / "tiny")
    if mirrored:
        monkeypatch.setenv("THERMO_MODELS", str(tmp_path))
    again = make(family, checkpoint="maker/tiny" if mirrored else str(tmp_path / "maker/tiny"))
    assert type(again) is type(network)
    loaded = again.state_dict()
    for name, weight in network.state_dict().items():
        if family != "t5" or not name.startswith("classifier"):
            assert torch.equal(weight, loaded[name]), name
    assert "newly initialized" not in capfd.readouterr().err


@pytest.mark.parametrize("family", OPTIONS)
def test_a_head_for_other_classes_is_replaced_quietly(family, tmp_path, capfd):
    saved(family, tmp_path)
    network = make(family, classes=7, checkpoint=str(tmp_path))
    *_, last = (m for m in network.modules() if isinstance(m, nn.Linear))
    assert last.out_features == 7
    assert "classifier" not in capfd.readouterr().err


def test_another_architecture_is_an_error(tmp_path):
    saved("bert", tmp_path)
    with pytest.raises(ThermoError, match="holds a bert network, not t5"):
        checkpoints.load(T5Model.from_pretrained, str(tmp_path))


def test_missing_weights_are_an_error(tmp_path):
    network = make("bert", **SMALL)
    weights = network.state_dict()
    weights.pop("bert.encoder.layer.0.output.dense.weight")
    network.save_pretrained(tmp_path, state_dict=weights)
    with pytest.raises(ThermoError, match=r"lacks 1 weights, such as bert.encoder.layer.0.output"):
        make("bert", checkpoint=str(tmp_path))


def test_damaged_weights_are_an_error(tmp_path):
    saved("bert", tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(ThermoError, match=r"could not load checkpoint .* THERMO_MODELS"):
        make("bert", checkpoint=str(tmp_path))


@pytest.mark.parametrize("function", [BertForSequenceClassification, AutoTokenizer])
def test_out_of_reach(function):
    started = time.perf_counter()
    with pytest.raises(ThermoError, match=r"some-maker/some-net.*THERMO_MODELS.*demo"):
        checkpoints.load(function.from_pretrained, "some-maker/some-net")
    assert time.perf_counter() - started < 5


def test_mirror_without_the_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setenv("THERMO_MODELS", str(tmp_path))
    with pytest.raises(ThermoError, match="THERMO_MODELS has no folder google/electra"):
        checkpoints.locate("google/electra")


def test_mirror_that_is_no_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("THERMO_MODELS", str(tmp_path / "nowhere"))
    with pytest.raises(ThermoError, match=r"THERMO_MODELS points to .*nowhere, which is no folder"):
        checkpoints.load(AutoTokenizer.from_pretrained, "google/electra")


def test_existing_path_wins_over_the_mirror(tmp_path, monkeypatch):
    monkeypatch.setenv("THERMO_MODELS", str(tmp_path / "nowhere"))
    assert checkpoints.locate(str(tmp_path)) == str(tmp_path)


class TestAvailable:
    def test_on_the_hub_or_not(self, tmp_path, monkeypatch):
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
        files = {"config.json": b"{}"}
        with Hub({("models", f"maker/{name}"): files for name in ("net", "gated")}, {}) as server:
            for name in ("ENDPOINT", "HUGGINGFACE_CO_URL_TEMPLATE"):
                before = getattr(huggingface_hub.constants, name)
                changed = before.replace("https://huggingface.co", server.url)
                monkeypatch.setattr(huggingface_hub.constants, name, changed)
            checkpoints.check_available("maker/net")
            with pytest.raises(ThermoError, match=r"maker/other.*Not Found.*THERMO_MODELS"):
                checkpoints.check_available("maker/other")
            server.gated = {"maker/net": 403, "maker/gated": 403}
            with pytest.raises(ThermoError, match=r"maker/gated.*403.*THERMO_MODELS"):
                checkpoints.check_available("maker/gated")
            checkpoints.check_available("maker/net")  # it is in the cache

    def test_out_of_reach(self):
        with pytest.raises(ThermoError, match=r"some-maker/some-net.*THERMO_MODELS.*demo"):
            checkpoints.check_available("some-maker/some-net")

    def test_not_on_the_hub(self, tmp_path):
        for elsewhere in ("torchvision/resnet18", "https://example.org/net.pth", str(tmp_path)):
            checkpoints.check_available(elsewhere)


def test_no_name():
    with pytest.raises(ThermoError, match="no name"):
        checkpoints.locate("")


@pytest.mark.parametrize("kind", ["pth", "safetensors"])
def test_state_dict(kind, tmp_path, monkeypatch):
    weights = {"fc.weight": torch.randn(3, 2)}
    folder = tmp_path / "torchvision" / "resnet18"
    folder.mkdir(parents=True)
    save = torch.save if kind == "pth" else save_file
    save(weights, folder / f"net.{kind}")
    monkeypatch.setenv("THERMO_MODELS", str(tmp_path))
    for checkpoint in ("torchvision/resnet18", str(folder), str(folder / f"net.{kind}")):
        found = checkpoints.state_dict(checkpoint, "resnet18.pth")
        assert torch.equal(found["fc.weight"], weights["fc.weight"])


def test_state_dict_must_be_the_only_one(tmp_path):
    with pytest.raises(ThermoError, match=r"exactly one .* it holds none"):
        checkpoints.state_dict(str(tmp_path), "a.pth")
    for name in ("a.pth", "b.pth"):
        torch.save({}, tmp_path / name)
    with pytest.raises(ThermoError, match=r"it holds a.pth, b.pth"):
        checkpoints.state_dict(str(tmp_path), "a.pth")


def test_state_dict_of_something_else(tmp_path):
    torch.save([1, 2], tmp_path / "a.pth")
    with pytest.raises(ThermoError, match="no mapping of names to tensors"):
        checkpoints.state_dict(str(tmp_path), "a.pth")
    (tmp_path / "a.pth").write_bytes(b"nothing")
    with pytest.raises(ThermoError, match="could not load checkpoint"):
        checkpoints.state_dict(str(tmp_path), "a.pth")


class TestDownload:
    """Torchvision's files, from a server on the loopback."""

    @pytest.fixture
    def content(self):
        # Clients write pieces of 10 MiB; a download can only go on from a piece.
        file = io.BytesIO()
        torch.save({"fc.weight": torch.arange(3 * 2**20, dtype=torch.float32)}, file)
        return file.getvalue()

    @pytest.fixture
    def server(self, content, tmp_path, monkeypatch):
        digits = hashlib.sha256(content).hexdigest()[:8]
        files = {f"net-{digits}.pth": content, "net-00000000.pth": content, "net.pth": content}
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda seconds: None)
        monkeypatch.setenv("TORCH_HOME", str(tmp_path))
        with Hub({}, files) as server:
            monkeypatch.setenv("THERMO_TORCHVISION_URL", f"{server.url}/models")
            server.name = f"net-{digits}.pth"
            yield server

    def folder(self, tmp_path):
        return sorted(
            p.name for p in (tmp_path / "hub/checkpoints").iterdir() if p.suffix != ".lock"
        )

    def load(self, name):
        return checkpoints.state_dict("torchvision/net", name)["fc.weight"]

    def test_once(self, server, tmp_path):
        for _ in range(2):
            assert self.load(server.name)[-1] == 3 * 2**20 - 1
        assert server.requests == [("GET", f"/models/{server.name}", None)]
        assert self.folder(tmp_path) == [server.name]

    def test_complete_address(self, server, monkeypatch):
        monkeypatch.setenv("THERMO_TORCHVISION_URL", "http://127.0.0.1:9")
        assert len(self.load(f"{server.url}/models/net.pth")) == 3 * 2**20

    def test_goes_on_where_it_broke_off(self, server):
        server.cut = {server.name: [11 * 2**20]}
        assert self.load(server.name)[-1] == 3 * 2**20 - 1
        assert server.ranges() == [f"bytes={10 * 2**20}-"]

    def test_goes_on_in_the_next_run(self, server, tmp_path):
        server.cut = {server.name: [11 * 2**20] + 6 * [0]}
        with pytest.raises(ThermoError, match=r"torchvision/net: .*THERMO_MODELS"):
            self.load(server.name)
        assert self.folder(tmp_path) == [f"{server.name}.part"]
        server.forget()
        assert self.load(server.name)[-1] == 3 * 2**20 - 1
        assert server.ranges() == [f"bytes={10 * 2**20}-"]
        assert self.folder(tmp_path) == [server.name]

    def test_without_a_hash_it_starts_again(self, server):
        server.cut = {"net.pth": [11 * 2**20] + 6 * [0]}
        with pytest.raises(ThermoError):
            self.load("net.pth")
        server.forget()
        assert self.load("net.pth")[-1] == 3 * 2**20 - 1
        assert server.ranges() == []

    def test_another_content_than_the_name_says(self, server, tmp_path):
        with pytest.raises(ThermoError, match=r"net-00000000.pth .*SHA-256.*THERMO_TORCHVISION"):
            self.load("net-00000000.pth")
        assert self.folder(tmp_path) == []

    def test_a_damaged_file_in_the_cache_is_replaced(self, server, tmp_path):
        self.load(server.name)
        file = tmp_path / "hub/checkpoints" / server.name
        file.write_bytes(file.read_bytes()[: 2**20])
        assert self.load(server.name)[-1] == 3 * 2**20 - 1
        assert len(server.requests) == 2

    def test_a_part_that_is_too_long_is_dropped(self, server, content, tmp_path):
        folder = tmp_path / "hub/checkpoints"
        folder.mkdir(parents=True)
        (folder / f"{server.name}.part").write_bytes(content + b"more")
        with pytest.raises(ThermoError, match="416"):
            self.load(server.name)
        assert self.load(server.name)[-1] == 3 * 2**20 - 1

    def test_missing(self, server, tmp_path):
        with pytest.raises(ThermoError, match=r"404.*THERMO_MODELS"):
            self.load("other-12345678.pth")
        assert self.folder(tmp_path) == []

    def test_no_network(self, server, monkeypatch):
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        with pytest.raises(ThermoError, match=r"torchvision/net: .*THERMO_MODELS"):
            self.load(server.name)
        assert server.requests == []


@pytest.mark.parametrize("network", ["resnet18", "mobilenet_v2"])
def test_torchvision_says_where_its_best_weights_are(network):
    official = torchvision.models.get_model_weights(network)["DEFAULT"].url
    (name,) = NETWORKS[network].make.__globals__["WEIGHTS"].values()
    assert checkpoints.TORCHVISION_URL + name == official
