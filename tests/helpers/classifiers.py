"""Models to be read, images for them, and what was found in short."""

import timm
import torch
import torchvision
from torch import nn


def images(size=32, rows=2, seed=0):
    return torch.randn(rows, 3, size, size, generator=torch.Generator().manual_seed(seed))


def tv(name, **options):
    return torchvision.models.get_model(name, weights=None, num_classes=10, **options)


def tm(name, **options):
    return timm.create_model(name, num_classes=10, **options)


def paths(found):
    return " ".join(each.path for each in found.stages)


def sizes(found):
    return [each.shape[2] if len(each.shape) == 4 else each.shape[1] for each in found.stages]


class PreAct(nn.Module):
    """A block of He et al.'s second paper; its activations overwrite what the norms put out."""

    def __init__(self, width, out, stride):
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(width), nn.BatchNorm2d(out)
        self.conv1 = nn.Conv2d(width, out, 3, stride, padding=1, bias=False)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1, bias=False)
        self.short = nn.Conv2d(width, out, 1, stride, bias=False)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, features):
        active = self.relu(self.norm1(features))
        return self.conv2(self.relu(self.norm2(self.conv1(active)))) + self.short(active)


class PreActNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.layer1, self.layer2 = PreAct(8, 8, 1), PreAct(8, 16, 2)
        self.layer3 = PreAct(16, 32, 2)
        self.norm, self.relu, self.fc = nn.BatchNorm2d(32), nn.ReLU(inplace=True), nn.Linear(32, 4)

    def forward(self, images):
        deep = self.layer3(self.layer2(self.layer1(self.stem(images))))
        return self.fc(self.relu(self.norm(deep)).mean((2, 3)))


def plain(*ending):
    steps = [
        nn.Conv2d(3, 8, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(),
    ]
    return nn.Sequential(*steps, nn.AdaptiveAvgPool2d(1), *(ending or (nn.Flatten(), nn.Linear(16, 4))))


class Around(nn.Module):
    """A network whose answer is made of another's."""

    def __init__(self, inner, answer):
        super().__init__()
        self.inner, self.answer = inner, answer

    def forward(self, images):
        return self.answer(self.inner(images))


class Product(nn.Module):
    """Logits by a bare product: no module makes them."""

    def __init__(self):
        super().__init__()
        self.features, self.weight = plain(nn.Flatten()), nn.Parameter(torch.randn(4, 16))

    def forward(self, images):
        return self.features(images) @ self.weight.T


class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.features, self.one, self.other = plain(nn.Flatten()), nn.Linear(16, 4), nn.Linear(16, 4)

    def forward(self, images):
        features = self.features(images)
        return (self.one(features) + self.other(features)) / 2


def unpadded():
    """Sides of 30, 28 and 14: the second is no drop of resolution."""
    first = nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.MaxPool2d(2)
    second = (
        nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 4),
    )
    return nn.Sequential(*first, *second)


class SharedReLU(nn.Module):
    """Its one activation module is called at every resolution; a tap there shows the last."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 16, 3, 2, padding=1)
        self.relu, self.fc = nn.ReLU(), nn.Linear(16, 4)

    def forward(self, images):
        return self.fc(self.relu(self.conv2(self.relu(self.conv1(images)))).mean((2, 3)))


class TwoStreams(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.other, self.fc = plain(nn.Flatten()), plain(nn.Flatten()), nn.Linear(16, 4)

    def forward(self, images):
        return self.fc(self.one(images) + self.other(images))


def mlp():
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 16), nn.ReLU(), nn.Linear(16, 4))


class OtherInTraining(nn.Module):
    def __init__(self):
        super().__init__()
        self.features, self.fc = plain(nn.Flatten()), nn.Linear(16, 4)

    def forward(self, images):
        logits = self.fc(self.features(images))
        return logits * 2 if self.training else logits
