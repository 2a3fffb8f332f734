"""Distillation from a teacher by torchdistill, by a plain loop, and by ours. Needs `pip install torchdistill`."""

import logging

import torch
import torch.nn.functional as F
from plain_loop import Pictures, plain
from sides import Side, configured, options, ours, show
from torch import Tensor, nn
from torch.utils.data import RandomSampler
from torchdistill.core.distillation import get_distillation_box

from selfdistill.data import Splits
from selfdistill.models import create
from selfdistill.train.config import RunConfig

TEMPERATURE, ALPHA = 4.0, 0.9


def torchdistill(config: RunConfig, splits: Splits, workers: int) -> Side:
    """Epochs of torchdistill's loop, as its example for image classification makes them."""
    data = {"train": Pictures(splits)}
    settings = _settings(config, workers)
    teacher, student = _network(config, splits).eval(), _network(config, splits)
    box = get_distillation_box(teacher, student, data, settings, torch.device("cpu"), None, False, 1.0)

    def epoch() -> int:
        seen = 0
        box.pre_epoch_process(epoch=0)
        for images, labels, beside in box.train_data_loader:
            box.pre_forward_process()
            loss = box.forward_process(images, targets=labels, supp_dict=beside)
            box.post_forward_process(loss=loss)
            seen += len(labels)
        return seen

    return Side(f"torchdistill, {workers} workers", epoch)


def _settings(config: RunConfig, workers: int) -> dict:
    loading = {
        "batch_size": config.batch_size,
        "num_workers": workers,
        "drop_last": True,
        "persistent_workers": workers > 0,
    }
    where = {
        "student_module_path": ".",
        "student_module_io": "output",
        "teacher_module_path": ".",
        "teacher_module_io": "output",
    }
    loss = {"key": "KDLoss", "kwargs": {**where, "temperature": TEMPERATURE, "alpha": 1 - ALPHA}}
    descent = {
        "lr": config.lr,
        "momentum": config.momentum,
        "weight_decay": config.weight_decay,
        "nesterov": True,
    }
    network = {"forward_proc": "forward_batch_only", "sequential": [], "wrapper": None}
    return {
        "num_epochs": 1,
        "train_data_loader": {
            "dataset_id": "train",
            "sampler": {"class_or_func": RandomSampler, "kwargs": {}},
            "kwargs": loading,
        },
        "teacher": {**network, "requires_grad": False},
        "student": {**network, "requires_grad": True},
        "optimizer": {"key": "SGD", "kwargs": descent},
        "criterion": {"key": "WeightedSumLoss", "kwargs": {"sub_terms": {"kd": {"criterion": loss, "weight": 1.0}}}},
    }


def plain_kd(config: RunConfig, splits: Splits, workers: int) -> Side:
    """Epochs of the usual loop with the usual few lines of distillation."""
    teacher = _network(config, splits).eval().requires_grad_(False)

    def loss(logits: Tensor, labels: Tensor, images: Tensor) -> Tensor:
        with torch.no_grad():
            wanted = teacher(images)
        soft = F.kl_div(
            F.log_softmax(logits / TEMPERATURE, dim=1), F.softmax(wanted / TEMPERATURE, dim=1), reduction="batchmean"
        )
        return (1 - ALPHA) * F.cross_entropy(logits, labels) + ALPHA * TEMPERATURE**2 * soft

    return plain("plain loop", config, splits, workers, loss)


def _network(config: RunConfig, splits: Splits) -> nn.Module:
    return create(config.model, len(splits.classes), size=splits.train.size)


def main() -> None:
    logging.disable(logging.INFO)  # torchdistill tells a lot
    asked = options(__doc__ or "")
    for model in asked.models:
        config, splits = configured(asked, model)
        sides = [make(config, splits, workers) for make in (plain_kd, torchdistill) for workers in asked.workers]
        text = f"kd(alpha={ALPHA}, temperature={TEMPERATURE})"
        sides.append(ours("selfdistill kd()", RunConfig(**{**config.to_json(), "method": text}), splits))
        show(f"kd from {model}, {asked.data}, batches of {asked.batch_size}", sides, asked.rounds)


if __name__ == "__main__":
    main()
