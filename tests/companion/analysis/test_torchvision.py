"""``thermo analyze`` on networks of torchvision: weights, preparation of images, and classes."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from companion.analysis.models import load_model
from companion.analysis.references import Reference
from thermo_utils import ThermoError

GRID = ("--tau-step", "0.5", "--tau-max", "1")
#: The smallest network that torchvision has.
NETWORK = "shufflenet_v2_x0_5"

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture
def pictures(here):
    rng = np.random.default_rng(1)
    for name in ("ant", "bee", "cat"):
        (here / "pictures" / name / "deep").mkdir(parents=True)
        for i in range(2):
            pixels = rng.integers(0, 255, (45, 60, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(here / "pictures" / name / "deep" / f"{i}.png")
    return here / "pictures"


@pytest.fixture(scope="module")
def trained():
    """Weights as somebody might have trained them for three classes."""
    from torchvision.models import get_model

    torch.manual_seed(5)
    return get_model(NETWORK, weights=None, num_classes=3)


@pytest.mark.slow
def test_random_weights_are_told_of(pictures, analyze):
    words = (NETWORK, "pictures", *GRID, "--size", "32")
    done = analyze(*words)
    assert done.code == 0, done.err
    html = (done.folder / "report.html").read_text()
    for said in (done.out, html):
        assert "weights are random" in said
    assert "shorter side 37, centre 32 x 32 pixels, mean 0.485 0.456 0.406" in html
    assert re.findall(r"label (\d): (\w+)", done.out) == [("0", "ant"), ("1", "bee"), ("2", "cat")]
    # The same command says the same again, as it must to go on after an interrupt.
    again = analyze(*words, output="again")
    tables = [(run.folder / "curves.csv").read_text() for run in (done, again)]
    assert tables[0] == tables[1]


def test_weights_of_a_file(pictures, here, analyze, trained):
    from torchvision.transforms.functional import normalize

    state = {f"module.{name}": weight for name, weight in trained.state_dict().items()}
    torch.save({"state_dict": state, "epoch": 3}, here / "three.pt")
    done = analyze(
        f"torchvision:{NETWORK}", "pictures", *GRID, "--weights", "three.pt", "--size", "32",
        "--rfe-only", "--layers", "fc",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "random" not in done.out
    total = 0.0
    for file in sorted(pictures.rglob("*.png")):
        image = Image.open(file).resize((round(37 * 60 / 45), 37), Image.Resampling.BILINEAR)
        left, top = round((image.width - 32) / 2), round((37 - 32) / 2)
        image = image.crop((left, top, left + 32, top + 32))
        pixels = torch.tensor(np.asarray(image) / 255.0).permute(2, 0, 1).float()
        pixels = normalize(pixels, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
        with torch.no_grad():
            total += float(trained.eval()(pixels[None]).abs().sum())
    layers = pd.read_csv(done.folder / "layers.csv")
    assert layers["size"].tolist() == [6 * 3]
    assert layers["scale"][0] == pytest.approx(total / 18, rel=0.01)


class TestWeights:
    def load(self, weights, name=NETWORK, classes=None):
        return load_model(Reference("torchvision", name), weights=weights, classes=classes)

    def test_classes_of_random_weights_are_those_of_the_data(self):
        loaded = self.load(None, classes=3)
        assert loaded.untrained
        assert (loaded.outputs, loaded.network.fc.out_features) == (3, 3)
        assert self.load(None).outputs == 1000

    def test_classes_of_a_file_are_its_own(self, here, trained):
        from safetensors.torch import save_file

        save_file(trained.state_dict(), here / "three.safetensors")
        loaded = self.load("three.safetensors", classes=7)
        assert loaded.outputs == 3
        for name, weight in trained.state_dict().items():
            assert torch.equal(loaded.network.state_dict()[name], weight)

    def test_named_weights_from_the_cache(self, here, monkeypatch):
        from torchvision.models import get_model, get_model_weights

        torch.manual_seed(3)
        network = get_model(NETWORK, weights=None)
        monkeypatch.setattr(torch.hub, "get_dir", lambda: str(here))
        url = get_model_weights(NETWORK)["IMAGENET1K_V1"].url
        (here / "checkpoints").mkdir()
        torch.save(network.state_dict(), here / "checkpoints" / url.rpartition("/")[2])
        loaded = self.load("IMAGENET1K_V1")
        assert torch.equal(loaded.network.fc.weight, network.fc.weight)
        assert (loaded.outputs, loaded.classes[0], loaded.untrained) == (1000, "tench", False)

    def test_named_weights_out_of_reach(self, here, monkeypatch):
        def fail(*_, **__):
            raise OSError("no network")

        monkeypatch.setattr(torch.hub, "get_dir", lambda: str(here))
        monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
        with pytest.raises(ThermoError, match=rf"no network.*put https://.* at {here}"):
            self.load("IMAGENET1K_V1")

    def test_mistakes(self, here, trained):
        with pytest.raises(ThermoError, match=r"has no weights 'IMAGENET_V9'.*IMAGENET1K_V1"):
            self.load("IMAGENET_V9")
        torch.save(trained.state_dict(), here / "three.pt")
        with pytest.raises(ThermoError, match="of another network than squeezenet1_1"):
            self.load("three.pt", "squeezenet1_1")
        torch.save(trained, here / "whole.pt")
        torch.save([1], here / "list.pt")
        torch.save({"epoch": 3}, here / "epoch.pt")
        (here / "none.pt").write_bytes(b"nothing")
        for file in ("whole.pt", "list.pt", "epoch.pt", "none.pt"):
            with pytest.raises(ThermoError, match=f"{file} holds no state dict"):
                self.load(file)

    def test_other_names(self, here, monkeypatch):
        with pytest.raises(ThermoError, match=r"no classifier of images.*FILE.py:NAME"):
            self.load(None, "fasterrcnn_resnet50_fpn")
        with pytest.raises(ThermoError, match=r"did you mean.*'resnet18'"):
            self.load(None, "resnt18")


def test_folders_named_like_the_classes_of_the_weights(here, analyze, monkeypatch):
    """Their numbers are those of the weights, not those of the folders."""
    from torchvision.models import get_model, get_model_weights

    rng = np.random.default_rng(0)
    for name in ("goldfish", "Tench"):
        (here / "pictures" / name).mkdir(parents=True)
        Image.fromarray(rng.integers(0, 255, (40, 40, 3)).astype(np.uint8)).save(
            here / "pictures" / name / "a.png"
        )
    torch.manual_seed(3)
    network = get_model(NETWORK, weights=None)
    with torch.no_grad():  # whatever it sees, it says goldfish
        network.fc.weight.zero_()
        network.fc.bias.copy_(torch.arange(1000) == 1)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(here))
    url = get_model_weights(NETWORK)["IMAGENET1K_V1"].url
    (here / "checkpoints").mkdir()
    torch.save(network.state_dict(), here / "checkpoints" / url.rpartition("/")[2])
    done = analyze(NETWORK, "pictures", *GRID, "--size", "32", "--weights", "IMAGENET1K_V1")
    assert done.code == 0, done.err
    assert "label 0: Tench\nlabel 1: goldfish" in done.out
    assert "50.00 %" in (done.folder / "report.html").read_text()
    (here / "pictures" / "goldfish").rename(here / "pictures" / "fish of gold")
    refused = analyze(NETWORK, "pictures", *GRID, "--weights", "IMAGENET1K_V1", output="other")
    assert "no single class of the network is called fish of gold" in refused.err


def test_a_network_of_ones_own_on_images(here, pictures, analyze):
    """Pairs of pixels and classes; how many classes it has is asked of the network."""
    (here / "mine.py").write_text(
        "import torch\nfrom torch import nn\ntorch.manual_seed(0)\n"
        "def make(classes):\n"
        "    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1),\n"
        "                         nn.Flatten(), nn.Linear(4, classes))\n"
        "three, four = make(3), make(4)\n"
    )
    done = analyze("mine.py:three", "pictures", *GRID, "--size", "16")
    assert done.code == 0, done.err
    assert "shorter side 16, centre 16 x 16 pixels" in done.out
    assert pd.read_csv(done.folder / "layers.csv")["size"].tolist() == [6 * 4 * 14 * 14]
    refused = analyze("mine.py:four", "pictures", *GRID, output="other")
    assert "3 labels (ant, bee, cat) and the network 4 classes" in refused.err
