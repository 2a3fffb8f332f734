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
    device = device_of(config)
    model = create(config.model, len(splits.classes), size=splits.train.size).train().to(device)
    loader, steps = batches(splits, config, workers), optimizer(model, config)

    def epoch() -> int:
        seen, total = 0, 0.0
        for batch in loader:
            images, labels = (each.to(device) for each in batch)
            value = loss(model(images), labels, images)
            steps.zero_grad()
            value.backward()
            steps.step()
            total, seen = total + value.item(), seen + len(labels)
        return seen

    return Side(f"{label}, {workers} workers", epoch)


def resident(label: str, config: RunConfig, splits: Splits, compiled: bool) -> Side:
    """Epochs of a loop that does the least: images on the device, fused SGD, autocast, one compiled function."""
    device = device_of(config)
    model = create(config.model, len(splits.classes), size=splits.train.size).train()
    model = model.to(device, memory_format=torch.channels_last)
    images, labels = splits.train.images[:].to(device), splits.train.labels.to(device)
    steps = torch.optim.SGD(
        model.parameters(), config.lr, config.momentum, weight_decay=config.weight_decay, nesterov=True, fused=True
    )

    def value_of(pixels: Tensor, wanted: Tensor) -> Tensor:
        with torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bf16"):
            return F.cross_entropy(model(pixels.float().div(127.5).sub(1)), wanted)

    loss = torch.compile(value_of) if compiled else value_of

    def epoch() -> int:
        order = torch.randperm(len(labels), device=device)
        whole = order[: len(order) // config.batch_size * config.batch_size]
        for rows in whole.split(config.batch_size):
            value = loss(images[rows].contiguous(memory_format=torch.channels_last), labels[rows])
            steps.zero_grad()
            value.backward()
            steps.step()
        value.detach().item()  # waits for the device
        return len(whole)

    return Side(label, epoch)


def device_of(config: RunConfig) -> torch.device:
    """The device that a run of this configuration would use."""
    if config.accelerator == "cpu" or not torch.accelerator.is_available():
        return torch.device("cpu")
    return torch.accelerator.current_accelerator() or torch.device("cpu")


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
