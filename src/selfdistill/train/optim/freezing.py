"""Layers of the student that keep their weights and running statistics."""

from collections.abc import Iterator
from difflib import get_close_matches

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from selfdistill.errors import UserError
from selfdistill.features import Anatomy
from selfdistill.step import Distiller
from selfdistill.train.config import RunConfig

ALL_BUT_CLASSIFIER = "all but the classifier"


class FrozenLayers:
    """The layers of `config.freeze`, for the whole run or its first `config.unfreeze` epochs.

    A frozen parameter has no gradient, so that the optimizer passes it over, and a frozen batch norm is in evaluation
    mode. Layers that never thaw stay out of the optimizer: make this object before it. Raises `UserError` for a path
    that the student does not have, and if no parameter of the student is left to train.
    """

    def __init__(self, distiller: Distiller, config: RunConfig):
        self.until = config.unfreeze
        paths = _paths(distiller.student, distiller.anatomy, config.freeze) if config.freeze else []
        self.parameters, self.norms = _frozen(distiller.student, distiller.anatomy, paths, config.freeze)
        if {each for each in distiller.student.parameters() if each.requires_grad} <= {*self.parameters}:
            raise UserError(
                f"--freeze {config.freeze!r} leaves no parameter of {distiller.anatomy.model} to train; name fewer "
                "layers"
            )
        if self.until is None:
            self.start_epoch(0)

    def start_epoch(self, epoch: int) -> None:
        """Freeze the layers in this epoch, from 0, or let them train; call it after `train()`."""
        frozen = self.until is None or epoch < self.until
        for parameter in self.parameters:
            parameter.requires_grad_(not frozen)
        for norm in self.norms:
            norm.train(not frozen)


def _frozen(
    student: nn.Module, anatomy: Anatomy, paths: list[str], freeze: str | None
) -> tuple[list[nn.Parameter], list[_NormBase]]:
    """Return the trainable parameters and the batch norms under the paths; without the classifier's if that is kept."""
    kept = {*student.get_submodule(str(anatomy.classifier)).parameters()} if freeze == ALL_BUT_CLASSIFIER else set()
    parameters = [
        each
        for name, each in student.named_parameters()
        if each.requires_grad and each not in kept and any(_inside(name, path) for path in paths)
    ]
    norms = [
        each
        for name, each in student.named_modules()
        if isinstance(each, _NormBase) and any(_inside(name, path) for path in paths)
    ]
    return parameters, norms


def _paths(student: nn.Module, anatomy: Anatomy, freeze: str) -> list[str]:
    """Return the paths of modules and parameters that `freeze` names."""
    if freeze == ALL_BUT_CLASSIFIER:
        if anatomy.classifier is None:
            raise UserError(
                f"no module of {anatomy.model} alone computes the logits, so --freeze {ALL_BUT_CLASSIFIER!r} is "
                "unclear; name the classifier by --classifier PATH, or the layers to freeze"
            )
        return [path for path in _leaves(student) if not _inside(path, anatomy.classifier)]
    known = [name for name, _ in (*student.named_modules(), *student.named_parameters()) if name]
    paths = [each.strip() for each in freeze.split(",")]
    for path in paths:
        if path not in known:
            near = get_close_matches(path, known, n=3, cutoff=0.4) or [name for name, _ in student.named_children()]
            raise UserError(
                f"--freeze: {anatomy.model} has no layer {path!r}; nearest: {', '.join(near)}; or write "
                f"--freeze {ALL_BUT_CLASSIFIER!r}"
            )
    return paths


def _leaves(student: nn.Module) -> Iterator[str]:
    """Yield the paths of modules without children, and of parameters."""
    yield from (path for path, module in student.named_modules() if path and not any(module.children()))
    yield from (path for path, _ in student.named_parameters())


def _inside(name: str, path: str) -> bool:
    return f"{name}.".startswith(f"{path}.")
