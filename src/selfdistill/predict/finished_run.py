"""A finished run in three lines: its network, the transform of its test images, its classes."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from selfdistill.errors import UserError
from selfdistill.features.logits import logits_of
from selfdistill.metrics.model import eval_mode
from selfdistill.predict.transform import AnyTransform, ImageTransform, transform_of
from selfdistill.records import RunInfo, task_in
from selfdistill.task import TAG, TaskName
from selfdistill.train.networks import load_run

if TYPE_CHECKING:
    from selfdistill.predict.transform import AnyImage


@dataclass(frozen=True, eq=False)
class FinishedRun:
    """The student of a finished run with the transform of its test images."""

    model: nn.Module  # in eval mode
    transform: AnyTransform  # of one image or example, to the input of the model
    classes: tuple[str, ...]  # or tags
    task: TaskName
    info: RunInfo  # contents of run.json

    @torch.no_grad()
    def probabilities(self, inputs: Tensor) -> Tensor:
        """Return the probabilities of classes or tags, in eval mode. [B, C, H, W], transformed -> [B, K] or maps."""
        with eval_mode(self.model):
            logits = logits_of(self.model(inputs)).float()
        return logits.sigmoid() if self.task == TAG else logits.softmax(dim=1)

    def predict(self, images: "Iterable[AnyImage]") -> Tensor:
        """Return the probabilities of images: paths, PIL images or uint8 pixels. N images -> [N, K] or maps.

        Raises `UserError` for an image that cannot be read, for images that differ in size after the transform, and
        for a run that was trained on tensors.
        """
        if not isinstance(self.transform, ImageTransform):
            raise UserError("this run was trained on tensors, not on images; call its model on transformed tensors")
        found = [self.transform(each) for each in images]
        if len({each.shape for each in found}) != 1:
            raise UserError("predict takes one image or more of one size; call it for each size of images")
        return self.probabilities(torch.stack(found))


def load(run: str | Path, *, modules: Collection[str] = ()) -> FinishedRun:
    """Load the student of a finished run, in eval mode, with its transform and classes.

    A model of the user's own is imported only if `modules` has its module: a record must not run code. Raises
    `UserError` if there is no finished run, and for a model of another module.

    >>> result = sd.run(sd.RunConfig("ce()", epochs=1, limit=64), "runs/a")
    >>> finished = sd.load("runs/a")
    >>> finished.predict([torch.zeros(3, 8, 8, dtype=torch.uint8)]).shape
    torch.Size([1, 10])
    """
    model, info = load_run(run, modules)
    task = task_in(info["config"]).name
    return FinishedRun(model.eval(), transform_of(info), tuple(info["class_names"]), task, info)
