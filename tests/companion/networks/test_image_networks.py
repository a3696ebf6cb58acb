"""The vision networks: shapes, hooked layers, options, seeds, checkpoints."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from companion.data.tensors import Examples, Splits
from companion.networks.network import ARCHITECTURES, build
from companion.networks.resnet18 import CNN, MLP, mobilenet_v2, resnet18
from companion.runs.chapters import CHAPTERS, settings
from thermo_utils.errors import ThermoError
from thermo_utils.hooks import ActivationHooks, resolve_layers

MAKERS = {
    "mlp": lambda side: MLP(7, side, hidden=(16, 12, 8)),
    "cnn": lambda side: CNN(7, side, channels=(4, 6, 8), hidden=(12, 8)),
    "resnet18": lambda side: resnet18(7, side, divisor=8),
    "mobilenet_v2": lambda side: mobilenet_v2(7, side, width=0.25),
}
#: Hooked outputs of one forward pass. ResNet-18 calls one ReLU twice in each of eight blocks,
#: MobileNetV2 has one ReLU6 in its first and last layer, one in its first block, two in 16 more.
CALLS = {"mlp": 3, "cnn": 5, "resnet18": 16, "mobilenet_v2": 35}


def splits(side: int = 32, classes: int = 10) -> Splits:
    part = Examples(torch.zeros(4, 3, side, side), torch.zeros(4, dtype=torch.int64))
    return Splits(part, part, part, tuple(map(str, range(classes))), "ours", "0")


@pytest.mark.parametrize("side", [32, 40, 64])
@pytest.mark.parametrize("model", MAKERS)
def test_shapes(model, side):
    network = MAKERS[model](side).eval()
    assert network(torch.randn(3, 3, side, side)).shape == (3, 7)


@pytest.mark.parametrize("model", MAKERS)
def test_every_hooked_output_fires_as_often_as_the_paper_prunes(model):
    network = MAKERS[model](32).eval()
    seen = []
    layers = ARCHITECTURES[model].layers
    with ActivationHooks(network, layers, lambda name, tensor: seen.append(name)):
        network(torch.randn(2, 3, 32, 32))
    assert len(seen) == CALLS[model]
    assert set(seen) == set(resolve_layers(network, layers))


def test_the_resnet_stem_is_not_pruned():
    names = resolve_layers(MAKERS["resnet18"](32), ARCHITECTURES["resnet18"].layers)
    assert "relu" not in names


def test_the_classifier_is_never_pruned():
    for model, make in MAKERS.items():
        network = make(32)
        *_, last = (name for name, m in network.named_modules() if isinstance(m, nn.Linear))
        assert last not in resolve_layers(network, ARCHITECTURES[model].layers)


@pytest.mark.parametrize(
    "chapter", [c for c in CHAPTERS if c.model in MAKERS], ids=lambda chapter: chapter.name
)
def test_every_profile_builds_a_network_that_fits_the_data(chapter):
    side, classes = (32, 10) if chapter.dataset == "cifar10" else (64, 102)
    for profile in ("demo", "small", "paper"):
        options = settings(chapter.model, chapter.dataset, profile).options
        network = build(chapter.model, splits(side, classes), **options).eval()
        assert network(torch.zeros(2, 3, side, side)).shape == (2, classes)
        assert resolve_layers(network, ARCHITECTURES[chapter.model].layers)


def test_sizes_of_the_full_networks_are_those_of_torchvision():
    head = {"resnet18": 512 * 1000 + 1000, "mobilenet_v2": 1280 * 1000 + 1000}
    whole = {"resnet18": 11_689_512, "mobilenet_v2": 3_504_872}
    for model, count in whole.items():
        network = build(model, splits())
        ours = sum(p.numel() for p in network.parameters())
        features = (head[model] - 1000) // 1000
        assert ours == count - head[model] + 10 * features + 10


@pytest.mark.parametrize("model", MAKERS)
def test_weights_follow_the_seed(model):
    def weights(seed):
        torch.manual_seed(seed)
        return torch.cat([p.detach().flatten() for p in MAKERS[model](32).parameters()])

    assert torch.equal(weights(5), weights(5))
    assert not torch.equal(weights(5), weights(6))


def test_unknown_option_is_named_with_the_nearest():
    with pytest.raises(ThermoError, match=r"MLP has no option 'hiden': did you mean 'hidden'"):
        build("mlp", splits(), hiden=(8, 8, 8))


def test_unknown_model():
    with pytest.raises(ThermoError, match=r"unknown model 'resnet': did you mean 'resnet18'"):
        build("resnet", splits())


def test_texts_are_refused():
    part = Examples({"input_ids": torch.zeros(2, 5)}, torch.zeros(2, dtype=torch.int64))
    texts = Splits(part, part, part, ("a", "b"), "ours", "0", vocabulary=9, padding=0, max_length=5)
    with pytest.raises(ThermoError, match="MLP reads images, the data are texts"):
        build("mlp", texts)


def test_images_too_small_for_the_pooling():
    with pytest.raises(ThermoError, match="take 8 or more"):
        CNN(10, 7)


PRETRAINED = {
    "resnet18": (resnet18, {"divisor": 8, "blocks": (1, 1, 1, 1)}, "conv1.weight"),
    "mobilenet_v2": (mobilenet_v2, {"width": 0.25}, "features.0.0.weight"),
}


@pytest.mark.parametrize("model", PRETRAINED)
def test_checkpoint_from_the_local_folder(model, tmp_path, monkeypatch):
    make, options, name = PRETRAINED[model]
    torch.manual_seed(1)
    saved = make(1000, 32, **options).state_dict()
    folder = tmp_path / "torchvision" / model
    folder.mkdir(parents=True)
    torch.save(saved, folder / "weights.pth")
    monkeypatch.setenv("THERMO_MODELS", str(tmp_path))
    network = make(10, 32, checkpoint=f"torchvision/{model}", **options)
    assert torch.equal(network.state_dict()[name], saved[name])
    assert network.eval()(torch.zeros(1, 3, 32, 32)).shape == (1, 10)


@pytest.mark.parametrize("model", PRETRAINED)
def test_checkpoint_of_another_size(model, tmp_path):
    make, options, _ = PRETRAINED[model]
    file = tmp_path / "weights.pth"
    torch.save(make(1000, 32, **options).state_dict(), file)
    with pytest.raises(ThermoError, match="is of another network or size") as error:
        make(10, 32, checkpoint=str(file))
    assert "\n" not in str(error.value)


def test_checkpoint_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setenv("THERMO_MODELS", str(tmp_path))
    with pytest.raises(ThermoError, match="torchvision/resnet18"):
        resnet18(10, 32, checkpoint="torchvision/resnet18")
