"""What a method costs in parameters."""

from torch import nn

from selfdistill.distiller import Distiller


def parameters(model: nn.Module) -> int:
    """How many parameters a model is deployed with."""
    return sum(each.numel() for each in model.parameters())


def added_parameters(distiller: Distiller) -> int:
    """How many parameters the terms' heads add, in training only."""
    return parameters(distiller.terms)
