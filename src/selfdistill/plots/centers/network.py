"""A small convolutional network with two-dimensional features, so that they can be drawn."""

from torch import Tensor, nn


class PlanarNetwork(nn.Module):
    """Three convolutions, a projection to two features, and a linear classifier."""

    def __init__(self, classes: int, width: int = 32):
        super().__init__()
        self.layer1 = _layer(3, width, 1)
        self.layer2 = _layer(width, 2 * width, 2)
        self.layer3 = _layer(2 * width, 2 * width, 2)
        self.plane = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(8 * width, 2))
        self.classify = nn.Linear(2, classes)

    def embed(self, images: Tensor) -> Tensor:
        """[B, 3, H, W] -> [B, 2]."""
        features: Tensor = self.plane(self.layer3(self.layer2(self.layer1(images))))
        return features

    def forward(self, images: Tensor) -> Tensor:
        """[B, 3, H, W] -> [B, C]."""
        logits: Tensor = self.classify(self.embed(images))
        return logits


def _layer(width: int, out: int, stride: int) -> nn.Sequential:
    convolve = nn.Conv2d(width, out, 3, stride, padding=1, bias=False)
    return nn.Sequential(convolve, nn.BatchNorm2d(out), nn.ReLU())
