"""Small networks that tests teach."""

import torch
from torch import Tensor, nn

CLASSES = 5


class Convolutional(nn.Module):
    """Three stages of a residual network; GroupNorm where a batch must not know itself."""

    def __init__(self, norm: str = "batch"):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.layer1, self.layer2, self.layer3 = (
            Block(8, 8, 1, norm),
            Block(8, 12, 2, norm),
            Block(12, 16, 2, norm),
        )
        self.pool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(16, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        deep = self.layer3(self.layer2(self.layer1(self.stem(images))))
        return self.fc(self.pool(deep).flatten(1))


class Block(nn.Module):
    def __init__(self, width: int, out: int, stride: int, norm: str):
        super().__init__()
        self.conv = nn.Conv2d(width, out, 3, stride, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(out) if norm == "batch" else nn.GroupNorm(4, out)
        self.short = nn.Conv2d(width, out, 1, stride, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        return torch.relu(self.norm(self.conv(features)) + self.short(features))


class Transformer(nn.Module):
    """Three blocks over 4x4 patches."""

    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, 16, 4, 4)
        self.position = nn.Parameter(torch.randn(1, 16, 16) * 0.02)
        self.blocks = nn.Sequential(*(Mixer() for _ in range(3)))
        self.norm, self.head = nn.LayerNorm(16), nn.Linear(16, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.patch(images).flatten(2).transpose(1, 2) + self.position
        return self.head(self.norm(self.blocks(tokens)).mean(dim=1))


class Mixer(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(16), nn.LayerNorm(16)
        self.mix = nn.Linear(16, 16)
        self.mlp = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.mix(self.norm1(tokens).transpose(1, 2)).transpose(1, 2)
        return tokens + self.mlp(self.norm2(tokens))


def network(kind: str = "batch", seed: int = 0) -> nn.Module:
    """A network drawn from this seed: "batch", "group" (the norm) or "tokens"."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Transformer() if kind == "tokens" else Convolutional(kind)
