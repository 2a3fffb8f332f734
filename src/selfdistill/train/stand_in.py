"""Untrained networks in the roles of trained ones: enough to look at a run's steps before it."""

from pathlib import Path

from torch import nn

from selfdistill.data import Splits
from selfdistill.method import Method
from selfdistill.method.networks import PeerNetwork, Role, Teacher
from selfdistill.models import create
from selfdistill.train import networks as teacher
from selfdistill.train.config import RunConfig


def stand_ins(method: Method, config: RunConfig, splits: Splits) -> dict[str, nn.Module]:
    """A network for each role that is not made of the student, by role. Raises `UserError` for a name of none."""
    made = {name: _stand_in(role, config, splits) for name, role in method.networks.items()}
    return {name: network for name, network in made.items() if network is not None}


def _stand_in(role: Role, config: RunConfig, splits: Splits) -> nn.Module | None:
    if isinstance(role, Teacher):
        planned = teacher.plan(role, config)
        return teacher.load_run(planned)[0] if isinstance(planned, Path) else _create(planned.model, splits)
    return _create(role.name, splits) if isinstance(role, PeerNetwork) and role.name else None


def _create(model: str, splits: Splits) -> nn.Module:
    return create(model, len(splits.classes), size=splits.train.size)
