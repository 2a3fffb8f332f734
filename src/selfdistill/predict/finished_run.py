"""A finished run in three lines: its network, the transform of its test images, its classes."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from selfdistill.errors import UserError
from selfdistill.features.logits import logits_of
from selfdistill.inputs import call_model, concatenate_rows, describe, map_tensors, to_device
from selfdistill.metrics.model import eval_mode
from selfdistill.predict.device import parse_device
from selfdistill.predict.transform import AnyTransform, transform_of
from selfdistill.records import RunInfo, task_in
from selfdistill.task import TAG, TaskName
from selfdistill.train.networks import load_run

if TYPE_CHECKING:
    from selfdistill.predict.transform import AnyExample, AnyImage

CPU = torch.device("cpu")


@dataclass(frozen=True, eq=False)
class FinishedRun:
    """The student of a finished run with the transform of its test images."""

    model: nn.Module  # in eval mode
    transform: AnyTransform  # of one image or example, to the input of the model
    classes: tuple[str, ...]  # or tags
    task: TaskName
    info: RunInfo  # contents of run.json
    device: torch.device = CPU  # of the model

    @torch.no_grad()
    def logits(self, inputs: Tensor | Mapping[str, Tensor]) -> Tensor:
        """Return the logits of transformed inputs, in eval mode, on the CPU. Raises `UserError` for other inputs."""
        try:
            with eval_mode(self.model):
                return logits_of(call_model(self.model, to_device(inputs, self.device))).float().cpu()
        except TypeError as error:  # of a call with keywords that the model lacks, or without some of its own
            if isinstance(inputs, Tensor):
                raise
            raise UserError(f"the run's model does not take the inputs {', '.join(inputs)}: {error}") from None

    def probabilities(self, inputs: Tensor | Mapping[str, Tensor]) -> Tensor:
        """Return the probabilities of classes or tags, in eval mode. [B, C, …], transformed -> [B, K] or maps."""
        logits = self.logits(inputs)
        return logits.sigmoid() if self.task == TAG else logits.softmax(dim=1)

    def predict(self, examples: "Iterable[AnyImage | AnyExample]") -> Tensor:
        """Return the probabilities of examples. N -> [N, K] or maps.

        Images are paths, PIL images or uint8 pixels; examples of a run on tensors are arrays or tensors of its
        channels, such as [4, H, W], or mappings of several inputs. Raises `UserError` for an example that cannot be
        read or has other channels, and for examples that differ in size after the transform.
        """
        transform = cast("Callable[[object], Tensor | dict[str, Tensor]]", self.transform)
        found = [transform(each) for each in examples]
        if len({describe(each) for each in found}) != 1:
            raise UserError("predict takes one example or more of one size; call it for each size")
        rows = map_tensors(lambda each: each[None], found)
        return self.probabilities(cast("Tensor | dict[str, Tensor]", concatenate_rows(rows)))


def load(run: str | Path, *, modules: Collection[str] = (), device: str = "cpu") -> FinishedRun:
    """Load the student of a finished run on a device, in eval mode, with its transform and classes.

    A model of the user's own is imported only if `modules` has its module: a record must not run code. Raises
    `UserError` if there is no finished run, for a model of another module, and for a device that is not there.

    >>> result = sd.run(sd.RunConfig("ce()", epochs=1, limit=64), "runs/a")
    >>> finished = sd.load("runs/a")
    >>> finished.predict([torch.zeros(3, 8, 8, dtype=torch.uint8)]).shape
    torch.Size([1, 10])
    """
    place = parse_device(device)
    model, info = load_run(run, modules)
    task = task_in(info["config"]).name
    return FinishedRun(model.eval().to(place), transform_of(info), tuple(info["class_names"]), task, info, place)
