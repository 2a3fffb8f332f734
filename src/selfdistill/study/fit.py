"""Whether a method, a model and the data fit, found out before any training."""

from torch import nn

from selfdistill.data import Splits, default_augmentation
from selfdistill.method import Method
from selfdistill.method.networks import PeerNetwork, Role, Teacher
from selfdistill.methods import parse_method
from selfdistill.models import create
from selfdistill.rng import fork_rng_named
from selfdistill.step import Distiller
from selfdistill.train import networks as teacher
from selfdistill.train.config import RunConfig


def require_fit(config: RunConfig, splits: Splits) -> None:
    """Raise `UserError` where method, model and data do not fit; costs a pass of two images."""
    stand_in(config, splits, rows=2).close()


def stand_in(config: RunConfig, splits: Splits, rows: int) -> Distiller:
    """A run's distiller, shown so many images, with teachers of the right architecture that know nothing yet."""
    method = parse_method(config.method)
    with fork_rng_named(f"{config.seed}:student"):
        student = create(config.model, len(splits.classes), size=splits.train.size, weights=config.weights)
    example = default_augmentation(splits).normalize(splits.train.images[:rows])
    return Distiller(student, method, example, networks=_cast(method, config, splits), classifier=config.classifier)


def _cast(method: Method, config: RunConfig, splits: Splits) -> dict[str, nn.Module]:
    """A network for each role that is not made of the student."""
    found = {name: _network(role, config, splits) for name, role in method.networks.items()}
    return {name: network for name, network in found.items() if network is not None}


def _network(role: Role, config: RunConfig, splits: Splits) -> nn.Module | None:
    if isinstance(role, PeerNetwork) and role.name:
        return create(role.name, len(splits.classes), size=splits.train.size)
    if not isinstance(role, Teacher):
        return None
    planned = teacher.plan(role, config)
    if isinstance(planned, RunConfig):
        return create(planned.model, len(splits.classes), size=splits.train.size)
    network, facts = teacher.load_run(planned)
    teacher.require_classes(facts, splits, planned)
    return teacher.adapted(network, facts, default_augmentation(splits), splits.train.size)
