"""The networks of images: shapes, hooked layers, options, seeds, checkpoints."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from companion.networks import NETWORKS, build
from thermo_utils.errors import ThermoError
from thermo_utils.hooks import ActivationHooks
from thermo_utils.layers import resolve_layers

OPTIONS = {
    "mlp": {"hidden": (16, 12, 8)},
    "cnn": {"channels": (4, 6, 8), "hidden": (12, 8)},
    "resnet18": {"divisor": 8},
    "mobilenet_v2": {"width": 0.25},
}
#: Hooked outputs of one forward pass. ResNet-18 calls one ReLU twice in each of eight blocks,
#: MobileNetV2 has one ReLU6 in its first and last layer, one in its first block, two in 16 more.
CALLS = {"mlp": 3, "cnn": 5, "resnet18": 16, "mobilenet_v2": 35}
each = pytest.mark.parametrize("model", OPTIONS)


def make(model, side=32, classes=7, **options):
    shape = {"classes": classes, "image_size": side}
    return build(model, shape, **{**OPTIONS[model], **options})


@pytest.mark.parametrize("side", [32, 40, 64])
@each
def test_shapes(model, side):
    assert make(model, side).eval()(torch.randn(3, 3, side, side)).shape == (3, 7)


@each
def test_every_hooked_output_fires_as_often_as_the_paper_prunes(model):
    network = make(model).eval()
    seen = []
    layers = NETWORKS[model].layers
    with ActivationHooks(network, layers, lambda name, tensor: seen.append(name)):
        network(torch.randn(2, 3, 32, 32))
    assert len(seen) == CALLS[model]
    assert set(seen) == set(resolve_layers(network, layers))


def test_the_resnet_stem_is_not_pruned():
    assert "relu" not in resolve_layers(make("resnet18"), NETWORKS["resnet18"].layers)


@each
def test_the_classifier_is_never_pruned(model):
    network = make(model)
    *_, last = (name for name, m in network.named_modules() if isinstance(m, nn.Linear))
    assert last not in resolve_layers(network, NETWORKS[model].layers)


@pytest.mark.parametrize(
    ("model", "whole", "features"),
    [("resnet18", 11_689_512, 512), ("mobilenet_v2", 3_504_872, 1280)],
)
def test_sizes_of_the_full_networks_are_those_of_torchvision(model, whole, features):
    network = build(model, {"classes": 10, "image_size": 32})
    ours = sum(p.numel() for p in network.parameters())
    assert ours == whole - 990 * (features + 1)  # a head for 10 classes instead of 1,000


def test_the_full_mlp_is_as_wide_as_it_says():
    network = build("mlp", {"classes": 10, "image_size": 32})
    widths = [m.out_features for m in network.modules() if isinstance(m, nn.Linear)]
    assert widths == [512, 256, 128, 10]
    order = [type(m) for m in network.hidden]
    assert order == [nn.Linear, nn.BatchNorm1d, nn.ReLU, nn.Dropout] * 3


def test_the_full_cnn_is_as_wide_as_it_says():
    network = build("cnn", {"classes": 10, "image_size": 32})
    assert [m.out_channels for m in network.modules() if isinstance(m, nn.Conv2d)] == [32, 64, 128]
    dense = [m for m in network.modules() if isinstance(m, nn.Linear)]
    assert [m.in_features for m in dense] == [128 * 4 * 4, 256, 128]


@each
def test_the_rate_of_dropout_reaches_every_dropout(model):
    rates = [m.p for m in make(model, dropout=0.25).modules() if isinstance(m, nn.Dropout)]
    assert set(rates) == {0.25}
    assert len(rates) == {"mlp": 3, "cnn": 2}.get(model, 1)


@each
def test_weights_follow_the_seed(model):
    def weights(seed):
        torch.manual_seed(seed)
        return torch.cat([p.detach().flatten() for p in make(model).parameters()])

    assert torch.equal(weights(5), weights(5))
    assert not torch.equal(weights(5), weights(6))


def test_images_too_small_for_the_pooling():
    with pytest.raises(ThermoError, match="take 8 or more"):
        make("cnn", 7)


@pytest.mark.parametrize("stride", [1, 2])
def test_the_first_stride_of_mobilenet_scales_its_maps(stride):
    network = make("mobilenet_v2", first_stride=stride).eval()
    sides = []
    with ActivationHooks(network, ["features.0", "features.18"], lambda _, a: sides.append(a)):
        network(torch.zeros(1, 3, 32, 32))
    assert [map_.shape[-1] for map_ in sides] == [32 // stride, 2 // stride]


@pytest.mark.parametrize("divisor", [1, 4])
def test_the_divisor_of_resnet_narrows_every_stage(divisor):
    network = make("resnet18", divisor=divisor, blocks=(1, 1, 1, 1))
    stages = [network.layer1, network.layer2, network.layer3, network.layer4]
    widths = [stage[-1].conv2.out_channels for stage in stages]
    assert widths == [width // divisor for width in (64, 128, 256, 512)]


PRETRAINED = {
    "resnet18": ({"divisor": 8, "blocks": (1, 1, 1, 1)}, "fc."),
    "mobilenet_v2": ({"width": 0.25}, "classifier."),
}


@pytest.mark.parametrize("model", PRETRAINED)
@pytest.mark.parametrize("classes", [7, 1000])
def test_a_checkpoint_gives_all_but_the_head(model, classes, tmp_path, monkeypatch):
    options, head = PRETRAINED[model]
    saved = make(model, classes=1000, **options).state_dict()
    folder = tmp_path / "torchvision" / model
    folder.mkdir(parents=True)
    torch.save(saved, folder / "weights.pth")
    monkeypatch.setenv("THERMO_MODELS", str(tmp_path))
    network = make(model, classes=classes, checkpoint=f"torchvision/{model}", **options)
    for name, weight in network.state_dict().items():
        same = weight.shape == saved[name].shape and torch.equal(weight, saved[name])
        assert same != name.startswith(head), name
    assert network.eval()(torch.zeros(1, 3, 32, 32)).shape == (1, classes)


@pytest.mark.parametrize("model", PRETRAINED)
def test_checkpoint_of_another_size(model, tmp_path):
    options, _ = PRETRAINED[model]
    file = tmp_path / "weights.pth"
    torch.save(make(model, classes=1000, **options).state_dict(), file)
    other = {"resnet18": {"divisor": 4}, "mobilenet_v2": {"width": 0.5}}[model]
    with pytest.raises(ThermoError, match=str(file)) as error:
        make(model, checkpoint=str(file), **other)
    assert "\n" not in str(error.value)


def test_checkpoint_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setenv("THERMO_MODELS", str(tmp_path))
    with pytest.raises(ThermoError, match="torchvision/resnet18"):
        make("resnet18", checkpoint="torchvision/resnet18")
