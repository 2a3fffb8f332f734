"""The loop that a paper's repository has: DataLoader, PIL transforms, the model as it comes, SGD. Beside it ours."""

from collections.abc import Callable
from dataclasses import replace

import torch
import torch.nn.functional as F
from PIL import Image
from sides import Side, configured, options, ours, show
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from selfdistill.data import Splits
from selfdistill.models import create
from selfdistill.train.config import RunConfig


class Pictures(Dataset):
    """Images as torchvision's CIFAR data set holds them: an array, of which each item becomes a PIL image."""

    def __init__(self, splits: Splits):
        self.data = splits.train.images.permute(0, 2, 3, 1).contiguous().numpy()
        self.targets = splits.train.labels.tolist()
        side = splits.train.size
        flip = [transforms.RandomHorizontalFlip()] if splits.flip else []
        shape = [transforms.RandomCrop(side, padding=side // 8), *flip]
        values = [transforms.ToTensor(), transforms.Normalize(splits.mean, splits.std)]
        self.transform = transforms.Compose([*shape, *values])

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.data[row])), self.targets[row]


def batches(splits: Splits, config: RunConfig, workers: int) -> DataLoader:
    """The usual loader; its workers live on between epochs, but fetch nothing then."""
    return DataLoader(
        Pictures(splits),
        config.batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=workers > 0,
    )


def optimizer(model: nn.Module, config: RunConfig) -> torch.optim.Optimizer:
    """SGD as it comes."""
    return torch.optim.SGD(
        model.parameters(), config.lr, config.momentum, weight_decay=config.weight_decay, nesterov=True
    )


def cross_entropy(logits: Tensor, labels: Tensor, images: Tensor) -> Tensor:
    """The loss of the labels alone."""
    return F.cross_entropy(logits, labels)


def plain(label: str, config: RunConfig, splits: Splits, workers: int, loss: Callable = cross_entropy) -> Side:
    """Epochs of the usual loop. `loss` is of logits, labels and images."""
    model = create(config.model, len(splits.classes), size=splits.train.size).train()
    loader, steps = batches(splits, config, workers), optimizer(model, config)

    def epoch() -> int:
        seen, total = 0, 0.0
        for images, labels in loader:
            value = loss(model(images), labels, images)
            steps.zero_grad()
            value.backward()
            steps.step()
            total, seen = total + value.item(), seen + len(labels)
        return seen

    return Side(f"{label}, {workers} workers", epoch)


def main() -> None:
    asked = options(__doc__ or "")
    for model in asked.models:
        config, splits = configured(asked, model)
        sides = [plain("plain loop", config, splits, workers) for workers in asked.workers]
        again, half = replace(config, seed=1), replace(config, precision="bf16")
        sides += [ours("selfdistill ce()", config, splits), ours("selfdistill ce() again", again, splits)]
        sides += [ours("selfdistill ce() bf16", half, splits)]
        show(f"{model}, {asked.data}, batches of {asked.batch_size}", sides, asked.rounds)


if __name__ == "__main__":
    main()
