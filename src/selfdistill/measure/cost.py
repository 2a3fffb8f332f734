"""What a method costs in parameters."""

from torch import nn

from selfdistill.distiller import Distiller
from selfdistill.roles import Peer


def parameters(model: nn.Module) -> int:
    """How many parameters a model is deployed with."""
    return sum(each.numel() for each in model.parameters())


def added_parameters(distiller: Distiller) -> int:
    """How many parameters are trained beside the student's: heads, branches and peers."""
    roles = distiller.method.networks
    peers = [each for name, each in distiller.networks.items() if isinstance(roles[name], Peer)]
    return sum(each.numel() for part in (distiller.terms, *peers) for each in part.parameters() if each.requires_grad)
