"""Networks on images: torchvision's, in small versions where there are any, and one by hand."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.kinds.kind import CLASSES, EXAMPLES, Case, kind, labelled

SIDE = 32


def images(side: int = SIDE, count: int = EXAMPLES) -> Tensor:
    return torch.randn(count, 3, side, side)


def classifier(model: nn.Module, side: int = SIDE, count: int = EXAMPLES) -> Case:
    x = images(side, count)
    y = labelled(model, x)
    return Case(model, lambda: list(zip(x.split(16), y.split(16), strict=True)))


@kind("ResNet, torchvision", "images", heavy=True)
def resnet() -> Case:
    from torchvision.models.resnet import BasicBlock, ResNet

    return classifier(ResNet(BasicBlock, [1, 1, 1, 1], num_classes=CLASSES))


@kind("EfficientNet, torchvision: SiLU, squeeze-and-excitation", "images", heavy=True)
def efficientnet() -> Case:
    from torchvision.models.efficientnet import EfficientNet, MBConvConfig

    blocks = [MBConvConfig(1, 3, 1, 8, 8, 1), MBConvConfig(4, 3, 2, 8, 16, 1)]
    return classifier(EfficientNet(blocks, dropout=0.2, num_classes=CLASSES, last_channel=32))


@kind("ConvNeXt, torchvision: GELU", "images", heavy=True)
def convnext() -> Case:
    from torchvision.models.convnext import CNBlockConfig, ConvNeXt

    blocks = [CNBlockConfig(8, 16, 1), CNBlockConfig(16, None, 1)]
    return classifier(ConvNeXt(blocks, num_classes=CLASSES, layer_scale=1.0))


@kind("Swin transformer, torchvision", "images", heavy=True)
def swin() -> Case:
    from torchvision.models.swin_transformer import SwinTransformer

    shape: dict[str, Any] = {"patch_size": [4, 4], "embed_dim": 8, "depths": [2, 1]}
    return classifier(
        SwinTransformer(**shape, num_heads=[1, 2], window_size=[2, 2], num_classes=CLASSES)
    )


@kind("RegNet, torchvision: squeeze-and-excitation", "images", heavy=True)
def regnet() -> Case:
    from torchvision.models.regnet import BlockParams, RegNet

    blocks = BlockParams.from_init_params(
        depth=4, w_0=8, w_a=8.0, w_m=2.0, group_width=8, se_ratio=0.25
    )
    return classifier(RegNet(blocks, num_classes=CLASSES, stem_width=8))


@kind("MobileNetV3, torchvision: hard swish, hard sigmoid gates", "images", heavy=True)
def mobilenet_v3() -> Case:
    from torchvision.models.mobilenetv3 import InvertedResidualConfig, MobileNetV3

    blocks = [
        InvertedResidualConfig(16, 3, 16, 16, True, "RE", 2, 1, 1.0),
        InvertedResidualConfig(16, 3, 32, 24, True, "HS", 2, 1, 1.0),
    ]
    return classifier(MobileNetV3(blocks, last_channel=32, num_classes=CLASSES))


@kind("GoogLeNet, torchvision: F.relu, outputs beside the main one", "images", heavy=True)
def googlenet() -> Case:
    from torchvision.models import GoogLeNet

    model = GoogLeNet(num_classes=CLASSES, init_weights=False)
    x = images(count=16)
    model.eval()
    with torch.no_grad():  # the last layer of the modules is one of the outputs beside
        model.fc.bias -= model(x).mean(0)
        y = model(x).argmax(1)
    return Case(model, lambda: list(zip(x.split(8), y.split(8), strict=True)))


@kind("DenseNet, torchvision", "images", heavy=True)
def densenet() -> Case:
    from torchvision.models import DenseNet

    return classifier(
        DenseNet(growth_rate=4, block_config=(2, 2), num_init_features=8, num_classes=CLASSES)
    )


@kind("Vision transformer, torchvision", "images", heavy=True)
def vit() -> Case:
    from torchvision.models import VisionTransformer

    model = VisionTransformer(
        image_size=SIDE, patch_size=8, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=32,
        num_classes=CLASSES, norm_layer=partial(nn.LayerNorm, eps=1e-6),
    )  # fmt: skip
    nn.init.normal_(model.heads.head.weight)  # which is zero before training
    return classifier(model)


def _segmented(head: type[nn.Module]) -> Case:
    """A small network of torchvision's that names the class of every pixel."""
    from torchvision.models.segmentation.fcn import FCN

    backbone = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, stride=2), nn.ReLU())

    class Backbone(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = backbone

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            return {"out": self.body(x)}

    model = FCN(Backbone(), head(8, CLASSES), None)
    x = images(16, 8)
    y = labelled(model, x)
    y[:, 0] = -100  # pixels that belong to no class
    return Case(model, lambda: [(x[:4], y[:4]), (x[4:], y[4:])], metric="mean_iou")


@kind("FCN, torchvision, scored by mean IoU", "images, a class per pixel", heavy=True)
def fcn() -> Case:
    from torchvision.models.segmentation.fcn import FCNHead

    return _segmented(FCNHead)


@kind("DeepLabV3, torchvision, scored by mean IoU", "images, a class per pixel", heavy=True)
def deeplab() -> Case:
    from torchvision.models.segmentation.deeplabv3 import DeepLabHead

    return _segmented(DeepLabHead)


class UNet(nn.Module):
    """One step down and up again."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(3, 8, 3, padding=1)
        self.low = nn.Conv2d(8, 16, 3, padding=1)
        self.up = nn.ConvTranspose2d(16, 8, 2, stride=2)
        self.out = nn.Conv2d(16, CLASSES, 1)

    def forward(self, x: Tensor) -> Tensor:
        high = F.relu(self.down(x))
        low = F.relu(self.low(F.max_pool2d(high, 2)))
        return self.out(torch.cat([high, self.up(low).relu()], 1))


@kind("U-Net, with calls of F.relu and x.relu() in place of modules", "images, a class per pixel")
def unet() -> Case:
    model = UNet()
    x = images(16, 8)
    y = labelled(model, x)
    return Case(model, lambda: [(x[:4], y[:4]), (x[4:], y[4:])])


@kind("Faster R-CNN, torchvision", "a list of images, boxes as targets", heavy=True)
def detection() -> Case:
    from torchvision.models.detection import FasterRCNN
    from torchvision.models.detection.anchor_utils import AnchorGenerator
    from torchvision.ops import MultiScaleRoIAlign

    body = nn.Sequential(nn.Conv2d(3, 8, 3, stride=4), nn.ReLU())
    body.out_channels = 8  # type: ignore[assignment]
    model = FasterRCNN(
        body, 2, min_size=32, max_size=32,
        rpn_anchor_generator=AnchorGenerator(((8,),), ((1.0,),)),
        box_roi_pool=MultiScaleRoIAlign(["0"], 4, 2),
    )  # fmt: skip
    x = [torch.rand(3, 32, 32), torch.rand(3, 24, 32)]
    y = [{"boxes": torch.tensor([[1.0, 1, 9, 9]]), "labels": torch.ones(1, dtype=torch.int64)}] * 2
    return Case(model, lambda: [(x, y)])


@kind("An autoencoder, scored by mean squared error", "images, the same as targets")
def autoencoder() -> Case:
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 3, 3, padding=1))
    x = images(8, 16)
    with torch.no_grad():
        y = model(x) + 0.01 * torch.randn_like(x)
    return Case(model, lambda: [(x, y)], metric="mse")


@kind("A CNN in channels_last memory format", "images")
def channels_last() -> Case:
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(),
        nn.Linear(128, CLASSES),
    ).to(memory_format=torch.channels_last)  # fmt: skip
    x = images(16).contiguous(memory_format=torch.channels_last)
    y = labelled(model, x)
    return Case(model, lambda: [(x, y)])
